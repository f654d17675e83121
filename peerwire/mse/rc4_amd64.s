//go:build !purego

#include "textflag.h"

// STEP makes a byte of the key stream and puts it at the bit shift of BX. R8 holds the table, SI the
// index i, DI the index j, and AX the entry x of i. The entry of the next i is loaded at once, while
// the byte is computed.
#define STEP(shift) \
	ADDB AX, DI            \
	MOVL (R8)(DI*4), DX    \
	MOVL AX, (R8)(DI*4)    \
	MOVL DX, (R8)(SI*4)    \
	ADDB AX, DX            \
	INCB SI                \
	MOVL (R8)(SI*4), AX    \
	MOVBLZX DX, DX         \
	MOVBLZX (R8)(DX*4), DX \
	SHLQ $shift, DX        \
	ORQ DX, BX

// func xorWords(c *stream, dst, src *byte, words int)
TEXT ·xorWords(SB), NOSPLIT, $0-32
	MOVQ c+0(FP), R8
	MOVQ dst+8(FP), R9
	MOVQ src+16(FP), R10
	MOVQ words+24(FP), CX
	MOVBLZX 1024(R8), SI
	MOVBLZX 1025(R8), DI
	INCB SI
	MOVL (R8)(SI*4), AX
loop:
	XORL BX, BX
	STEP(0)
	STEP(8)
	STEP(16)
	STEP(24)
	STEP(32)
	STEP(40)
	STEP(48)
	STEP(56)
	XORQ (R10), BX
	MOVQ BX, (R9)
	ADDQ $8, R9
	ADDQ $8, R10
	DECQ CX
	JNZ loop
	DECB SI
	MOVB SI, 1024(R8)
	MOVB DI, 1025(R8)
	RET
