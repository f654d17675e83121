//go:build !purego

#include "textflag.h"

// The constants of FIPS 180-4.
DATA k256<>+0x00(SB)/8, $0x71374491428a2f98
DATA k256<>+0x08(SB)/8, $0xe9b5dba5b5c0fbcf
DATA k256<>+0x10(SB)/8, $0x59f111f13956c25b
DATA k256<>+0x18(SB)/8, $0xab1c5ed5923f82a4
DATA k256<>+0x20(SB)/8, $0x12835b01d807aa98
DATA k256<>+0x28(SB)/8, $0x550c7dc3243185be
DATA k256<>+0x30(SB)/8, $0x80deb1fe72be5d74
DATA k256<>+0x38(SB)/8, $0xc19bf1749bdc06a7
DATA k256<>+0x40(SB)/8, $0xefbe4786e49b69c1
DATA k256<>+0x48(SB)/8, $0x240ca1cc0fc19dc6
DATA k256<>+0x50(SB)/8, $0x4a7484aa2de92c6f
DATA k256<>+0x58(SB)/8, $0x76f988da5cb0a9dc
DATA k256<>+0x60(SB)/8, $0xa831c66d983e5152
DATA k256<>+0x68(SB)/8, $0xbf597fc7b00327c8
DATA k256<>+0x70(SB)/8, $0xd5a79147c6e00bf3
DATA k256<>+0x78(SB)/8, $0x1429296706ca6351
DATA k256<>+0x80(SB)/8, $0x2e1b213827b70a85
DATA k256<>+0x88(SB)/8, $0x53380d134d2c6dfc
DATA k256<>+0x90(SB)/8, $0x766a0abb650a7354
DATA k256<>+0x98(SB)/8, $0x92722c8581c2c92e
DATA k256<>+0xa0(SB)/8, $0xa81a664ba2bfe8a1
DATA k256<>+0xa8(SB)/8, $0xc76c51a3c24b8b70
DATA k256<>+0xb0(SB)/8, $0xd6990624d192e819
DATA k256<>+0xb8(SB)/8, $0x106aa070f40e3585
DATA k256<>+0xc0(SB)/8, $0x1e376c0819a4c116
DATA k256<>+0xc8(SB)/8, $0x34b0bcb52748774c
DATA k256<>+0xd0(SB)/8, $0x4ed8aa4a391c0cb3
DATA k256<>+0xd8(SB)/8, $0x682e6ff35b9cca4f
DATA k256<>+0xe0(SB)/8, $0x78a5636f748f82ee
DATA k256<>+0xe8(SB)/8, $0x8cc7020884c87814
DATA k256<>+0xf0(SB)/8, $0xa4506ceb90befffa
DATA k256<>+0xf8(SB)/8, $0xc67178f2bef9a3f7
GLOBL k256<>(SB), RODATA|NOPTR, $256

DATA swap256<>+0(SB)/8, $0x0405060700010203
DATA swap256<>+8(SB)/8, $0x0c0d0e0f08090a0b
GLOBL swap256<>(SB), RODATA|NOPTR, $16

// The macros do four rounds of one message. S and T hold the state, C the schedule
// words of these rounds, N and P the next and the previous ones; the four registers
// rotate. X0 is the implicit operand of SHA256RNDS2, and X13 is scratch.

#define PLAIN(K, S, T, C) \
	MOVOU K(AX), X0; PADDD C, X0; SHA256RNDS2 X0, S, T; PSHUFD $0x0e, X0, X0; SHA256RNDS2 X0, T, S
#define EARLY(K, S, T, C, P) \
	PLAIN(K, S, T, C); SHA256MSG1 C, P
#define ROUNDS(K, S, T, C, N, P) \
	MOVOU K(AX), X0; PADDD C, X0; SHA256RNDS2 X0, S, T; MOVO C, X13; PALIGNR $4, P, X13; PADDD X13, N \
	SHA256MSG2 C, N; PSHUFD $0x0e, X0, X0; SHA256RNDS2 X0, T, S; SHA256MSG1 C, P
#define LATE(K, S, T, C, N, P) \
	MOVOU K(AX), X0; PADDD C, X0; SHA256RNDS2 X0, S, T; MOVO C, X13; PALIGNR $4, P, X13; PADDD X13, N \
	SHA256MSG2 C, N; PSHUFD $0x0e, X0, X0; SHA256RNDS2 X0, T, S

#define LOAD(FROM, M0, M1, M2, M3) \
	MOVOU 0(FROM), M0; PSHUFB X14, M0; MOVOU 16(FROM), M1; PSHUFB X14, M1 \
	MOVOU 32(FROM), M2; PSHUFB X14, M2; MOVOU 48(FROM), M3; PSHUFB X14, M3

// GET loads a to h from memory into two registers that hold abef and cdgh. PUT is its
// inverse.
#define GET(H, S, T) \
	MOVOU (H), S; MOVOU 16(H), T; PSHUFD $0xb1, S, S; PSHUFD $0x1b, T, T \
	MOVO S, X13; PALIGNR $8, T, S; PBLENDW $0xf0, X13, T
#define PUT(H, S, T) \
	PSHUFD $0x1b, S, S; PSHUFD $0xb1, T, T \
	MOVO S, X13; PBLENDW $0xf0, T, S; PALIGNR $8, X13, T; MOVOU S, (H); MOVOU T, 16(H)

#define PLAIN2(K) \
	PLAIN(K, X1, X2, X3); PLAIN(K, X7, X8, X9)
#define EARLY1(K) \
	EARLY(K, X1, X2, X4, X3); EARLY(K, X7, X8, X10, X9)
#define EARLY2(K) \
	EARLY(K, X1, X2, X5, X4); EARLY(K, X7, X8, X11, X10)
#define TURN0(K) \
	ROUNDS(K, X1, X2, X3, X4, X6); ROUNDS(K, X7, X8, X9, X10, X12)
#define TURN1(K) \
	ROUNDS(K, X1, X2, X4, X5, X3); ROUNDS(K, X7, X8, X10, X11, X9)
#define TURN2(K) \
	ROUNDS(K, X1, X2, X5, X6, X4); ROUNDS(K, X7, X8, X11, X12, X10)
#define TURN3(K) \
	ROUNDS(K, X1, X2, X6, X3, X5); ROUNDS(K, X7, X8, X12, X9, X11)

// func sha256Blocks2(h0, h1 *[8]uint32, p0, p1 *byte, n int)
TEXT ·sha256Blocks2(SB), NOSPLIT, $64-40
	MOVQ h0+0(FP), DI
	MOVQ h1+8(FP), R8
	MOVQ p0+16(FP), SI
	MOVQ p1+24(FP), R9
	MOVQ n+32(FP), CX
	LEAQ k256<>(SB), AX
	MOVOU swap256<>(SB), X14
	GET(DI, X1, X2)
	GET(R8, X7, X8)
loop:
	MOVOU X1, 0(SP)
	MOVOU X2, 16(SP)
	MOVOU X7, 32(SP)
	MOVOU X8, 48(SP)
	LOAD(SI, X3, X4, X5, X6)
	LOAD(R9, X9, X10, X11, X12)
	PLAIN2(0x00)
	EARLY1(0x10)
	EARLY2(0x20)
	TURN3(0x30)
	TURN0(0x40)
	TURN1(0x50)
	TURN2(0x60)
	TURN3(0x70)
	TURN0(0x80)
	TURN1(0x90)
	TURN2(0xa0)
	TURN3(0xb0)
	TURN0(0xc0)
	LATE(0xd0, X1, X2, X4, X5, X3)
	LATE(0xd0, X7, X8, X10, X11, X9)
	LATE(0xe0, X1, X2, X5, X6, X4)
	LATE(0xe0, X7, X8, X11, X12, X10)
	PLAIN(0xf0, X1, X2, X6)
	PLAIN(0xf0, X7, X8, X12)
	MOVOU 0(SP), X13
	PADDD X13, X1
	MOVOU 16(SP), X13
	PADDD X13, X2
	MOVOU 32(SP), X13
	PADDD X13, X7
	MOVOU 48(SP), X13
	PADDD X13, X8
	ADDQ $64, SI
	ADDQ $64, R9
	DECQ CX
	JNZ  loop
	PUT(DI, X1, X2)
	PUT(R8, X7, X8)
	RET
