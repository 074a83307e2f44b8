# In place of firmware: enters the kernel as a hypervisor does (PVH). What it passes has to be in memory.
.code16
start:
    cli
    lgdtl %cs:gdt_pointer - start
    movl %cr0, %eax
    orl $1, %eax
    movl %eax, %cr0
    ljmpl $8, $0xf0000 + protected - start
.code32
protected:
    movl $16, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    inb $0x92, %al
    orb $2, %al
    outb %al, $0x92
    cld
    movl $0xf0000, %esi
    movl $0x10000, %edi
    movl $0x4000, %ecx
    rep movsl
    movl $0x10000 + start_info - start, %ebx
    movl $ENTRY, %eax
    jmp *%eax
.balign 8
gdt:
    .quad 0, 0x00cf9b000000ffff, 0x00cf93000000ffff
gdt_pointer:
    .word 23
    .long 0xf0000 + gdt - start
.balign 8
start_info:
    .long 0x336ec578, 1, 0, 1
    .quad 0x10000 + module - start, 0x10000 + command_line - start, 0, 0x10000 + memory_map - start
    .long 2, 0
module:
    .quad INITRD, INITRD_SIZE, 0, 0
memory_map:
    .quad 0, 0x9f000
    .long 1, 0
    .quad 0x100000, MEMORY - 0x100000
    .long 1, 0
command_line:
    .ascii "console=ttyS0 loglevel=1 panic=-1 reboot=t pci=off acpi=off mitigations=off tsc_early_khz=100000 tsc=reliable "
    .ascii "lpj=400000 random.trust_cpu=on init_on_alloc=0 audit=0 lsm= nowatchdog cryptomgr.notests rootfstype=ramfs\0"
.org 0xfff0
.code16
    ljmp $0xf000, $0
.org 0x10000
