//! Instructions on tile registers: Intel's Advanced Matrix Extensions.
//!
//! Written in assembler, since the compiler's own functions for them are unstable.

#![allow(unsafe_code, reason = "assembler, behind a check at run time")]

use std::arch::asm;
use std::arch::x86_64::{__cpuid, __cpuid_count, _xgetbv};

use super::Instruction;

/// Steps of a burst, each of six instructions: some ten microseconds.
const STEPS: u64 = 512;
const ACCUMULATORS: u64 = 6;

/// A tile has sixteen rows of 64 bytes.
const ROWS: u64 = 16;
const ROW_BYTES: u64 = 64;

/// The operand of `ldtilecfg`: palette 1, and all eight registers as large as possible.
#[repr(C, align(64))]
struct Configuration([u8; 64]);

static CONFIGURATION: Configuration = {
    let mut bytes = [0; 64];
    bytes[0] = 1;
    let mut register = 0;
    while register < 8 {
        bytes[16 + 2 * register] = ROW_BYTES as u8;
        bytes[48 + register] = ROWS as u8;
        register += 1;
    }
    Configuration(bytes)
};

pub(super) fn instructions() -> [Instruction; 2] {
    const AMX_BF16: u32 = 1 << 22;
    const AMX_INT8: u32 = 1 << 25;

    // A product is of 16 x K and K x 16 numbers; a row of 64 bytes has K of them.
    let operations = |size: u64| STEPS * ACCUMULATORS * 2 * ROWS * ROWS * (ROW_BYTES / size);
    let features = features();
    [
        Instruction {
            name: "tdpbf16ps tmm",
            precision: "bf16",
            available: features & AMX_BF16 != 0,
            burst: bf16,
            operations: operations(2),
        },
        Instruction {
            name: "tdpbusd tmm",
            precision: "int8",
            available: features & AMX_INT8 != 0,
            burst: int8,
            operations: operations(1),
        },
    ]
}

/// The bits of CPUID that say which products there are; 0 if this process cannot use tiles.
fn features() -> u32 {
    const OSXSAVE: u32 = 1 << 27;
    const AMX_TILE: u32 = 1 << 24;
    /// Configuration and content of the tile registers.
    const XCR0: u64 = 0b11 << 17;

    let highest = __cpuid(0).eax;
    if highest < 0x1D || __cpuid(1).ecx & OSXSAVE == 0 {
        return 0;
    }
    let features = __cpuid_count(7, 0).edx;
    let palette = __cpuid_count(0x1D, 1);
    let expected = palette.ebx == (8 << 16) | ROW_BYTES as u32 && palette.ecx & 0xFFFF == ROWS as u32;
    // SAFETY: OSXSAVE means that the instruction exists and is enabled.
    let saved = || unsafe { enabled_state() } & XCR0 == XCR0;
    if features & AMX_TILE != 0 && expected && saved() && system_permits_it() { features } else { 0 }
}

/// The register XCR0: the state that the operating system saves.
#[target_feature(enable = "xsave")]
fn enabled_state() -> u64 {
    // SAFETY: there is always a register 0.
    unsafe { _xgetbv(0) }
}

/// Asks Linux for the tile registers. Without its permission, which is that of the whole process, the first instruction ends
/// the process.
fn system_permits_it() -> bool {
    const SYS_ARCH_PRCTL: usize = 158;
    const ARCH_REQ_XCOMP_PERM: usize = 0x1023;
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

/// Sums in registers 0 to 5 of products of 6 and 7, which are zero: numbers take as long.
macro_rules! burst {
    ($name:ident, $instruction:literal) => {
        /// # Safety
        ///
        /// The instruction is available.
        unsafe fn $name() {
            // SAFETY: the instruction is available, the configuration is valid, and no tile is in use anywhere else.
            unsafe {
                asm!(
                    "ldtilecfg [{configuration}]",
                    "2:",
                    concat!($instruction, " tmm0, tmm6, tmm7"),
                    concat!($instruction, " tmm1, tmm6, tmm7"),
                    concat!($instruction, " tmm2, tmm6, tmm7"),
                    concat!($instruction, " tmm3, tmm6, tmm7"),
                    concat!($instruction, " tmm4, tmm6, tmm7"),
                    concat!($instruction, " tmm5, tmm6, tmm7"),
                    "dec {steps}",
                    "jnz 2b",
                    "tilerelease",
                    configuration = in(reg) &raw const CONFIGURATION,
                    steps = inout(reg) STEPS => _,
                    out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
                    out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
                    options(nostack, readonly),
                );
            }
        }
    };
}

burst!(bf16, "tdpbf16ps");
burst!(int8, "tdpbusd");
