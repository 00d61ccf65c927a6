/* Files in the binary: the assembler copies each in; no generator, no generated source. */
#pragma once

/* name_start is the file's first byte, name_end the one behind its last (a zero). The path is from
 * the project's folder. */
#define EMBED(name, path)                                                                          \
    extern const char name##_start[], name##_end[];                                                \
    __asm__(".section .rodata\n .balign 64\n" #name "_start: .incbin \"" path "\"\n" #name         \
            "_end: .byte 0\n .previous")
