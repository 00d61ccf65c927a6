/* Files in the binary: the assembler copies each in; no generator, no generated source. */
#pragma once

/* name_start is the file's first byte, name_end the one behind its last (a zero). The path is from
 * the project's folder. Hidden, or ARM's linker (binutils 2.40) would find both at name_start: it
 * loses how far into its section a local symbol lies that is looked up in the GOT. */
#define EMBED(name, path)                                                                          \
    extern const char name##_start[] __attribute__((visibility("hidden")));                        \
    extern const char name##_end[] __attribute__((visibility("hidden")));                          \
    __asm__(".section .rodata\n .balign 64\n" #name "_start: .incbin \"" path "\"\n" #name         \
            "_end: .byte 0\n .previous")
