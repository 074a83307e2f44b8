//! Intel's Advanced Matrix Extensions, AMX: eight registers of sixteen rows of 64 bytes.
//!
//! Instructions and their arithmetic: Intel, *Architecture Instruction Set Extensions Programming Reference*, chapter 3.
//! They are written as assembler, since the compiler's own functions and types for them are unstable. The compiler never uses
//! tile registers itself, so their content remains between two blocks of assembler.
#![allow(unsafe_code, reason = "assembler; a value of the type proves that the processor has the instructions")]

use std::arch::asm;
use std::arch::x86_64::{__cpuid, __cpuid_count, _MM_HINT_T1, _mm_prefetch, _xgetbv};

use super::tiles::{Operand, Sums, TILE, Tiles};

/// AMX with products of bfloat16, which this process may use.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Amx(());

/// The operand of `ldtilecfg`, for palette 1.
#[repr(C, align(64))]
struct Configuration {
    palette: u8,
    start_row: u8,
    reserved: [u8; 14],
    /// Bytes of a row of each register.
    row_bytes: [u16; 16],
    /// Rows of each register.
    rows: [u8; 16],
}

/// All registers as large as possible: a smaller tile is not multiplied faster.
static CONFIGURATION: Configuration = {
    let (mut row_bytes, mut rows) = ([0; 16], [0; 16]);
    let mut register = 0;
    while register < REGISTERS {
        row_bytes[register] = ROW_BYTES as u16;
        rows[register] = TILE as u8;
        register += 1;
    }
    Configuration { palette: 1, start_row: 0, reserved: [0; 14], row_bytes, rows }
};

const REGISTERS: usize = 8;
const ROW_BYTES: usize = TILE * size_of::<u32>();

impl Amx {
    /// AMX, if the processor has it and the operating system lets this process use it.
    ///
    /// The first call asks Linux for the permission, which is that of the whole process, and enlarges the frames of its signals by
    /// the 8 KB of the registers.
    pub(in super::super) fn detect() -> Option<Self> {
        (processor_has_it() && system_permits_it()).then_some(Self(()))
    }
}

/// Whether the processor has the instructions, registers of the expected size, and an operating system that saves them.
fn processor_has_it() -> bool {
    const OSXSAVE: u32 = 1 << 27;
    const AMX_BF16: u32 = 1 << 22;
    const AMX_TILE: u32 = 1 << 24;
    /// Configuration and content of the tile registers.
    const XCR0: u64 = 0b11 << 17;

    let highest = __cpuid(0).eax;
    if highest < 0x1D || __cpuid(1).ecx & OSXSAVE == 0 {
        return false;
    }
    let features = __cpuid_count(7, 0).edx;
    if features & AMX_TILE == 0 || features & AMX_BF16 == 0 {
        return false;
    }
    // SAFETY: OSXSAVE means that the instruction exists and is enabled.
    if unsafe { enabled_state() } & XCR0 != XCR0 {
        return false;
    }
    let palettes = __cpuid_count(0x1D, 0).eax;
    let palette = __cpuid_count(0x1D, 1);
    palettes >= 1
        && (palette.ebx & 0xFFFF) as usize == ROW_BYTES
        && (palette.ebx >> 16) as usize >= REGISTERS
        && (palette.ecx & 0xFFFF) as usize == TILE
}

/// The register XCR0: the state that the operating system saves.
#[target_feature(enable = "xsave")]
fn enabled_state() -> u64 {
    // SAFETY: there is always a register 0.
    unsafe { _xgetbv(0) }
}

/// Whether the process may use the tile registers. Linux since 5.16 wants to be asked: without its permission the first
/// instruction ends the process. It refuses if a thread's alternative signal stack is too small for the larger frames.
#[cfg(target_os = "linux")]
fn system_permits_it() -> bool {
    const SYS_ARCH_PRCTL: usize = 158;
    const ARCH_REQ_XCOMP_PERM: usize = 0x1023;
    /// The state component of the tile registers' content.
    const XFEATURE_XTILEDATA: usize = 18;

    let result: isize;
    // SAFETY: the system call changes nothing but the permission. It clobbers rcx and r11.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") SYS_ARCH_PRCTL => result,
            in("rdi") ARCH_REQ_XCOMP_PERM,
            in("rsi") XFEATURE_XTILEDATA,
            lateout("rcx") _,
            lateout("r11") _,
            options(nostack),
        );
    }
    result == 0
}

#[cfg(not(target_os = "linux"))]
fn system_permits_it() -> bool {
    false
}

/// Assembler that changes tile registers.
macro_rules! tile_asm {
    ($($part:tt)*) => {
        asm!(
            $($part)*
            out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
            out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
            options(nostack, preserves_flags),
        )
    };
}

/// The sums are in registers 0 to 3, `[down][across]`; 4 and 5 are for rows, 6 and 7 for columns. Rows are read once per
/// tile of columns from the second-level cache and are loaded with a hint not to displace the columns from the first.
impl Tiles for Amx {
    #[inline(always)]
    fn configure(self) {
        // SAFETY: `self` exists, and the configuration is valid.
        unsafe {
            asm!("ldtilecfg [{}]", in(reg) &raw const CONFIGURATION, options(nostack, preserves_flags, readonly));
        }
    }

    #[inline(always)]
    fn release(self) {
        // SAFETY: `self` exists.
        unsafe { tile_asm!("tilerelease",) }
    }

    #[inline(always)]
    fn zero(self) {
        // SAFETY: `self` exists, and the registers are configured for the life of a `Session`.
        unsafe { tile_asm!("tilezero tmm0", "tilezero tmm1", "tilezero tmm2", "tilezero tmm3",) }
    }

    #[inline(always)]
    unsafe fn multiply<const DOWN: usize, const ACROSS: usize>(
        self,
        rows: [Operand<'_>; DOWN],
        columns: [Operand<'_>; ACROSS],
        step: usize,
    ) {
        let (rows, columns) = (rows.map(|rows| rows.tile(step)), columns.map(|columns| columns.tile(step)));
        // The last of one is the first, which the branches for one do not use.
        let ((upper, row_stride), (lower, _)) = (rows[0], rows[DOWN - 1]);
        let ((left, column_stride), (right, _)) = (columns[0], columns[ACROSS - 1]);
        // SAFETY: `self` exists, the registers are configured, and the caller guarantees that the tiles are within their slices.
        unsafe {
            match (DOWN, ACROSS) {
                (2, 2) => tile_asm!(
                    "tileloaddt1 tmm4, [{upper} + {row_stride}]",
                    "tileloaddt1 tmm5, [{lower} + {row_stride}]",
                    "tileloadd tmm6, [{left} + {column_stride}]",
                    "tileloadd tmm7, [{right} + {column_stride}]",
                    "tdpbf16ps tmm0, tmm4, tmm6",
                    "tdpbf16ps tmm1, tmm4, tmm7",
                    "tdpbf16ps tmm2, tmm5, tmm6",
                    "tdpbf16ps tmm3, tmm5, tmm7",
                    upper = in(reg) upper,
                    lower = in(reg) lower,
                    left = in(reg) left,
                    right = in(reg) right,
                    row_stride = in(reg) row_stride,
                    column_stride = in(reg) column_stride,
                ),
                (2, 1) => tile_asm!(
                    "tileloaddt1 tmm4, [{upper} + {row_stride}]",
                    "tileloaddt1 tmm5, [{lower} + {row_stride}]",
                    "tileloadd tmm6, [{left} + {column_stride}]",
                    "tdpbf16ps tmm0, tmm4, tmm6",
                    "tdpbf16ps tmm2, tmm5, tmm6",
                    upper = in(reg) upper,
                    lower = in(reg) lower,
                    left = in(reg) left,
                    row_stride = in(reg) row_stride,
                    column_stride = in(reg) column_stride,
                ),
                (1, 2) => tile_asm!(
                    "tileloaddt1 tmm4, [{upper} + {row_stride}]",
                    "tileloadd tmm6, [{left} + {column_stride}]",
                    "tileloadd tmm7, [{right} + {column_stride}]",
                    "tdpbf16ps tmm0, tmm4, tmm6",
                    "tdpbf16ps tmm1, tmm4, tmm7",
                    upper = in(reg) upper,
                    left = in(reg) left,
                    right = in(reg) right,
                    row_stride = in(reg) row_stride,
                    column_stride = in(reg) column_stride,
                ),
                (1, 1) => tile_asm!(
                    "tileloaddt1 tmm4, [{upper} + {row_stride}]",
                    "tileloadd tmm6, [{left} + {column_stride}]",
                    "tdpbf16ps tmm0, tmm4, tmm6",
                    upper = in(reg) upper,
                    left = in(reg) left,
                    row_stride = in(reg) row_stride,
                    column_stride = in(reg) column_stride,
                ),
                _ => const { assert!(DOWN <= 2 && ACROSS <= 2, "there are registers for 2 x 2 tiles") },
            }
        }
    }

    #[inline(always)]
    fn prefetch(self, from: &[u32], at: usize) {
        // SAFETY: a prefetch of any address is harmless.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(from.as_ptr().wrapping_add(at).cast()) }
    }

    #[inline(always)]
    fn store<const DOWN: usize, const ACROSS: usize>(self, sums: &mut Sums) {
        macro_rules! store {
            ($register:literal, $down:literal, $across:literal) => {
                if $down < DOWN && $across < ACROSS {
                    let to = sums.tile_mut($down, $across).as_mut_ptr();
                    // SAFETY: `self` exists, the registers are configured, and the array has sixteen rows of 64 bytes.
                    unsafe {
                        asm!(
                            concat!("tilestored [{to} + {stride}], ", $register),
                            to = in(reg) to,
                            stride = in(reg) ROW_BYTES,
                            options(nostack, preserves_flags),
                        );
                    }
                }
            };
        }
        store!("tmm0", 0, 0);
        store!("tmm1", 0, 1);
        store!("tmm2", 1, 0);
        store!("tmm3", 1, 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configuration_has_the_documented_layout() {
        assert_eq!(size_of::<Configuration>(), 64);
        assert_eq!(std::mem::offset_of!(Configuration, row_bytes), 16);
        assert_eq!(std::mem::offset_of!(Configuration, rows), 48);
    }
}
