//go:build !purego

#include "textflag.h"

// The macros do four rounds of SHA-1 and their part of the message schedule for one
// message. A holds a to d and E holds e. F receives the old A, from which the next e is
// computed. C holds the schedule words of these rounds; N, P and X hold the next, the
// previous and the second next ones. The four registers rotate.

#define FIRST(A, E, F, C) \
	PADDD C, E; MOVO A, F; SHA1RNDS4 $0, E, A
#define SECOND(A, E, F, C, P) \
	SHA1NEXTE C, E; MOVO A, F; SHA1RNDS4 $0, E, A; SHA1MSG1 C, P
#define THIRD(A, E, F, C, P, X) \
	SHA1NEXTE C, E; MOVO A, F; SHA1RNDS4 $0, E, A; SHA1MSG1 C, P; PXOR C, X
#define ROUNDS(K, A, E, F, C, N, P, X) \
	SHA1NEXTE C, E; MOVO A, F; SHA1MSG2 C, N; SHA1RNDS4 K, E, A; SHA1MSG1 C, P; PXOR C, X
#define LAST2(A, E, F, C, N, X) \
	SHA1NEXTE C, E; MOVO A, F; SHA1MSG2 C, N; SHA1RNDS4 $3, E, A; PXOR C, X
#define LAST1(A, E, F, C, N) \
	SHA1NEXTE C, E; MOVO A, F; SHA1MSG2 C, N; SHA1RNDS4 $3, E, A
#define LAST(A, E, F, C) \
	SHA1NEXTE C, E; MOVO A, F; SHA1RNDS4 $3, E, A

// LOAD reads a block of big-endian words in the order that the instructions need.
#define LOAD(FROM, M0, M1, M2, M3) \
	MOVOU 0(FROM), M0; PSHUFB X14, M0; MOVOU 16(FROM), M1; PSHUFB X14, M1 \
	MOVOU 32(FROM), M2; PSHUFB X14, M2; MOVOU 48(FROM), M3; PSHUFB X14, M3

// GET and PUT copy a state, a to e, from and to memory.
#define GET(H, A, E) \
	MOVOU (H), A; PSHUFD $0x1b, A, A; MOVL 16(H), AX; MOVQ AX, E; PSLLO $12, E
#define PUT(H, A, E) \
	PSHUFD $0x1b, A, A; MOVOU A, (H); PEXTRD $3, E, 16(H)

DATA swap<>+0(SB)/8, $0x08090a0b0c0d0e0f
DATA swap<>+8(SB)/8, $0x0001020304050607
GLOBL swap<>(SB), RODATA|NOPTR, $16

// func sha1Blocks(h *[5]uint32, p *byte, n int)
TEXT ·sha1Blocks(SB), NOSPLIT, $32-24
	MOVQ h+0(FP), DI
	MOVQ p+8(FP), SI
	MOVQ n+16(FP), CX
	MOVOU swap<>(SB), X14
	GET(DI, X0, X1)
loop:
	MOVOU X0, 0(SP)
	MOVOU X1, 16(SP)
	LOAD(SI, X3, X4, X5, X6)
	FIRST(X0, X1, X2, X3)
	SECOND(X0, X2, X1, X4, X3)
	THIRD(X0, X1, X2, X5, X4, X3)
	ROUNDS($0, X0, X2, X1, X6, X3, X5, X4)
	ROUNDS($0, X0, X1, X2, X3, X4, X6, X5)
	ROUNDS($1, X0, X2, X1, X4, X5, X3, X6)
	ROUNDS($1, X0, X1, X2, X5, X6, X4, X3)
	ROUNDS($1, X0, X2, X1, X6, X3, X5, X4)
	ROUNDS($1, X0, X1, X2, X3, X4, X6, X5)
	ROUNDS($1, X0, X2, X1, X4, X5, X3, X6)
	ROUNDS($2, X0, X1, X2, X5, X6, X4, X3)
	ROUNDS($2, X0, X2, X1, X6, X3, X5, X4)
	ROUNDS($2, X0, X1, X2, X3, X4, X6, X5)
	ROUNDS($2, X0, X2, X1, X4, X5, X3, X6)
	ROUNDS($2, X0, X1, X2, X5, X6, X4, X3)
	ROUNDS($3, X0, X2, X1, X6, X3, X5, X4)
	ROUNDS($3, X0, X1, X2, X3, X4, X6, X5)
	LAST2(X0, X2, X1, X4, X5, X6)
	LAST1(X0, X1, X2, X5, X6)
	LAST(X0, X2, X1, X6)
	MOVOU 0(SP), X7
	MOVOU 16(SP), X8
	SHA1NEXTE X8, X1
	PADDD X7, X0
	ADDQ $64, SI
	DECQ CX
	JNZ  loop
	PUT(DI, X0, X1)
	RET

// The macros do one step of two messages.
#define FIRST2 \
	FIRST(X0, X1, X2, X3); FIRST(X7, X8, X9, X10)
#define SECOND2 \
	SECOND(X0, X2, X1, X4, X3); SECOND(X7, X9, X8, X11, X10)
#define THIRD2 \
	THIRD(X0, X1, X2, X5, X4, X3); THIRD(X7, X8, X9, X12, X11, X10)
#define EVEN0(K) \
	ROUNDS(K, X0, X1, X2, X3, X4, X6, X5); ROUNDS(K, X7, X8, X9, X10, X11, X13, X12)
#define ODD1(K) \
	ROUNDS(K, X0, X2, X1, X4, X5, X3, X6); ROUNDS(K, X7, X9, X8, X11, X12, X10, X13)
#define EVEN2(K) \
	ROUNDS(K, X0, X1, X2, X5, X6, X4, X3); ROUNDS(K, X7, X8, X9, X12, X13, X11, X10)
#define ODD3(K) \
	ROUNDS(K, X0, X2, X1, X6, X3, X5, X4); ROUNDS(K, X7, X9, X8, X13, X10, X12, X11)

// func sha1Blocks2(h0, h1 *[5]uint32, p0, p1 *byte, n int)
TEXT ·sha1Blocks2(SB), NOSPLIT, $64-40
	MOVQ h0+0(FP), DI
	MOVQ h1+8(FP), R8
	MOVQ p0+16(FP), SI
	MOVQ p1+24(FP), R9
	MOVQ n+32(FP), CX
	MOVOU swap<>(SB), X14
	GET(DI, X0, X1)
	GET(R8, X7, X8)
loop:
	MOVOU X0, 0(SP)
	MOVOU X1, 16(SP)
	MOVOU X7, 32(SP)
	MOVOU X8, 48(SP)
	LOAD(SI, X3, X4, X5, X6)
	LOAD(R9, X10, X11, X12, X13)
	FIRST2
	SECOND2
	THIRD2
	ODD3($0)
	EVEN0($0)
	ODD1($1)
	EVEN2($1)
	ODD3($1)
	EVEN0($1)
	ODD1($1)
	EVEN2($2)
	ODD3($2)
	EVEN0($2)
	ODD1($2)
	EVEN2($2)
	ODD3($3)
	EVEN0($3)
	LAST2(X0, X2, X1, X4, X5, X6)
	LAST2(X7, X9, X8, X11, X12, X13)
	LAST1(X0, X1, X2, X5, X6)
	LAST1(X7, X8, X9, X12, X13)
	LAST(X0, X2, X1, X6)
	LAST(X7, X9, X8, X13)
	MOVOU 16(SP), X15
	SHA1NEXTE X15, X1
	MOVOU 48(SP), X15
	SHA1NEXTE X15, X8
	MOVOU 0(SP), X15
	PADDD X15, X0
	MOVOU 32(SP), X15
	PADDD X15, X7
	ADDQ $64, SI
	ADDQ $64, R9
	DECQ CX
	JNZ  loop
	PUT(DI, X0, X1)
	PUT(R8, X7, X8)
	RET
