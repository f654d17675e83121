//go:build !purego

#include "textflag.h"

// The message schedule of zeros is zero, so that only the rounds remain.

// STEP does four rounds of three messages with the SHA instructions. X6 is zero.
#define STEP(K, E, F, G, H, I, J) \
	SHA1NEXTE X6, E; MOVO X7, F; SHA1RNDS4 K, E, X7 \
	SHA1NEXTE X6, G; MOVO X10, H; SHA1RNDS4 K, G, X10 \
	SHA1NEXTE X6, I; MOVO X13, J; SHA1RNDS4 K, I, X13
#define EVEN(K) STEP(K, X8, X9, X11, X12, X14, X15)
#define ODD(K)  STEP(K, X9, X8, X12, X11, X15, X14)

// ADD ends a block of one of the three messages, whose state is at O(DI).
#define ADD(O, A, E) \
	MOVOU (O+16)(DI), X5; SHA1NEXTE X5, E; MOVOU O(DI), X5; PADDD X5, A; MOVOU A, O(DI); MOVOU E, (O+16)(DI)

// func zeros3(s *state3, n int)
TEXT ·zeros3(SB), NOSPLIT, $0-16
	MOVQ s+0(FP), DI
	MOVQ n+8(FP), CX
	PXOR X6, X6
	MOVOU 0(DI), X7
	MOVOU 16(DI), X8
	MOVOU 32(DI), X10
	MOVOU 48(DI), X11
	MOVOU 64(DI), X13
	MOVOU 80(DI), X14
loop:
	MOVO X7, X9 // the first step of a block uses e itself
	SHA1RNDS4 $0, X8, X7
	MOVO X10, X12
	SHA1RNDS4 $0, X11, X10
	MOVO X13, X15
	SHA1RNDS4 $0, X14, X13
	ODD($0); EVEN($0); ODD($0); EVEN($0)
	ODD($1); EVEN($1); ODD($1); EVEN($1); ODD($1)
	EVEN($2); ODD($2); EVEN($2); ODD($2); EVEN($2)
	ODD($3); EVEN($3); ODD($3); EVEN($3); ODD($3)
	ADD(0, X7, X8)
	ADD(32, X10, X11)
	ADD(64, X13, X14)
	DECQ CX
	JNZ  loop
	RET

// The macros do one round of 16 messages. Each register holds a word of eight of them;
// A to E and F to J are their states. It leaves the new a in the register of e and
// rotates b in place. Y10 to Y13 are scratch. The instructions of both groups
// alternate, and those that need the newest word come first. Other orders take up to 10
// % longer (AMD Zen 3: 33 cycles per block, where the four vector units need at least
// 29).
#define HEAD(K, A, E, F, J) \
	VPADDD K(R10), E, E; VPADDD K(R10), J, J; VPSLLD $5, A, Y11; VPSLLD $5, F, Y13
#define SPIN(A, E, F, J) \
	VPADDD Y11, E, E; VPADDD Y13, J, J; VPSRLD $27, A, Y11; VPSRLD $27, F, Y13
#define CHOOSE(A, B, C, D, E, F, G, H, I, J) \
	HEAD(0, A, E, F, J); VPXOR C, D, Y10; VPXOR H, I, Y12; SPIN(A, E, F, J) \
	VPAND B, Y10, Y10; VPAND G, Y12, Y12; VPADDD Y11, E, E; VPADDD Y13, J, J \
	VPSLLD $30, B, Y11; VPSLLD $30, G, Y13; VPXOR D, Y10, Y10; VPXOR I, Y12, Y12 \
	VPSRLD $2, B, B; VPSRLD $2, G, G; VPADDD Y10, E, E; VPADDD Y12, J, J; VPOR Y11, B, B; VPOR Y13, G, G
#define ANYPARITY(K, A, B, C, D, E, F, G, H, I, J) \
	HEAD(K, A, E, F, J); VPXOR C, D, Y10; VPXOR H, I, Y12; SPIN(A, E, F, J) \
	VPXOR B, Y10, Y10; VPXOR G, Y12, Y12; VPADDD Y11, E, E; VPADDD Y13, J, J \
	VPSLLD $30, B, Y11; VPSLLD $30, G, Y13; VPSRLD $2, B, B; VPSRLD $2, G, G \
	VPADDD Y10, E, E; VPADDD Y12, J, J; VPOR Y11, B, B; VPOR Y13, G, G
#define PARITY(A, B, C, D, E, F, G, H, I, J) ANYPARITY(32, A, B, C, D, E, F, G, H, I, J)
#define PARITY2(A, B, C, D, E, F, G, H, I, J) ANYPARITY(96, A, B, C, D, E, F, G, H, I, J)
#define MAJORITY(A, B, C, D, E, F, G, H, I, J) \
	HEAD(64, A, E, F, J); VPXOR C, D, Y10; VPXOR H, I, Y12; SPIN(A, E, F, J) \
	VPAND B, Y10, Y10; VPAND G, Y12, Y12; VPADDD Y11, E, E; VPADDD Y13, J, J \
	VPAND C, D, Y11; VPAND H, I, Y13; VPADDD Y10, E, E; VPADDD Y12, J, J; VPADDD Y11, E, E; VPADDD Y13, J, J \
	VPSLLD $30, B, Y11; VPSLLD $30, G, Y13; VPSRLD $2, B, B; VPSRLD $2, G, G; VPOR Y11, B, B; VPOR Y13, G, G
#define FIVE(R) \
	R(Y0, Y1, Y2, Y3, Y4, Y5, Y6, Y7, Y8, Y9) \
	R(Y4, Y0, Y1, Y2, Y3, Y9, Y5, Y6, Y7, Y8) \
	R(Y3, Y4, Y0, Y1, Y2, Y8, Y9, Y5, Y6, Y7) \
	R(Y2, Y3, Y4, Y0, Y1, Y7, Y8, Y9, Y5, Y6) \
	R(Y1, Y2, Y3, Y4, Y0, Y6, Y7, Y8, Y9, Y5)
#define TWENTY(R) FIVE(R); FIVE(R); FIVE(R); FIVE(R)

// The constants of FIPS 180-4, in eight lanes each.
DATA k1<>+0x00(SB)/8, $0x5a8279995a827999
DATA k1<>+0x08(SB)/8, $0x5a8279995a827999
DATA k1<>+0x10(SB)/8, $0x5a8279995a827999
DATA k1<>+0x18(SB)/8, $0x5a8279995a827999
DATA k1<>+0x20(SB)/8, $0x6ed9eba16ed9eba1
DATA k1<>+0x28(SB)/8, $0x6ed9eba16ed9eba1
DATA k1<>+0x30(SB)/8, $0x6ed9eba16ed9eba1
DATA k1<>+0x38(SB)/8, $0x6ed9eba16ed9eba1
DATA k1<>+0x40(SB)/8, $0x8f1bbcdc8f1bbcdc
DATA k1<>+0x48(SB)/8, $0x8f1bbcdc8f1bbcdc
DATA k1<>+0x50(SB)/8, $0x8f1bbcdc8f1bbcdc
DATA k1<>+0x58(SB)/8, $0x8f1bbcdc8f1bbcdc
DATA k1<>+0x60(SB)/8, $0xca62c1d6ca62c1d6
DATA k1<>+0x68(SB)/8, $0xca62c1d6ca62c1d6
DATA k1<>+0x70(SB)/8, $0xca62c1d6ca62c1d6
DATA k1<>+0x78(SB)/8, $0xca62c1d6ca62c1d6
GLOBL k1<>(SB), RODATA|NOPTR, $128

// func zeros16(s *state16, n int)
TEXT ·zeros16(SB), NOSPLIT, $0-16
	MOVQ s+0(FP), DI
	MOVQ n+8(FP), CX
	LEAQ k1<>(SB), R10
	VMOVDQU 0x000(DI), Y0
	VMOVDQU 0x020(DI), Y5
	VMOVDQU 0x040(DI), Y1
	VMOVDQU 0x060(DI), Y6
	VMOVDQU 0x080(DI), Y2
	VMOVDQU 0x0a0(DI), Y7
	VMOVDQU 0x0c0(DI), Y3
	VMOVDQU 0x0e0(DI), Y8
	VMOVDQU 0x100(DI), Y4
	VMOVDQU 0x120(DI), Y9
loop:
	TWENTY(CHOOSE)
	TWENTY(PARITY)
	TWENTY(MAJORITY)
	TWENTY(PARITY2)
	VPADDD 0x000(DI), Y0, Y0
	VMOVDQU Y0, 0x000(DI)
	VPADDD 0x020(DI), Y5, Y5
	VMOVDQU Y5, 0x020(DI)
	VPADDD 0x040(DI), Y1, Y1
	VMOVDQU Y1, 0x040(DI)
	VPADDD 0x060(DI), Y6, Y6
	VMOVDQU Y6, 0x060(DI)
	VPADDD 0x080(DI), Y2, Y2
	VMOVDQU Y2, 0x080(DI)
	VPADDD 0x0a0(DI), Y7, Y7
	VMOVDQU Y7, 0x0a0(DI)
	VPADDD 0x0c0(DI), Y3, Y3
	VMOVDQU Y3, 0x0c0(DI)
	VPADDD 0x0e0(DI), Y8, Y8
	VMOVDQU Y8, 0x0e0(DI)
	VPADDD 0x100(DI), Y4, Y4
	VMOVDQU Y4, 0x100(DI)
	VPADDD 0x120(DI), Y9, Y9
	VMOVDQU Y9, 0x120(DI)
	DECQ CX
	JNZ  loop
	VZEROUPPER
	RET
