// Formats of quantised weights: how 16 rows are laid out side by side, and how their products with some tokens are summed.

#pragma once

#include <cstdint>
#include <cstring>

#if defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512VL__) && defined(__AVX512DQ__) && defined(__AVX512VNNI__)
#define ENSEMBLE_PRODUCTS 1
#endif

#ifdef ENSEMBLE_PRODUCTS

#include <immintrin.h>

namespace {

constexpr int WIDE = 16;       // rows of the matrix in a panel: the lanes of a vector
constexpr int GROUP = 16;      // numbers of a token whose sum is kept: as many as share a scale in Q6_K
constexpr int BLOCK = 32;      // numbers of a token that share a scale

// COUNT tokens as the products want them: block by block, each of all of them, so that what is read next stands next.
template <int COUNT> struct Tokens {
    const int8_t * numbers;   // [block][token][BLOCK]
    const float * scales;     // [block][token]
    const int32_t * sums;     // [block][token][BLOCK / GROUP]

    // Four numbers from ``at`` on, which lie within one block.
    __m512i four(int token, int64_t block, int at) const {
        int32_t bits;
        memcpy(&bits, numbers + (block * COUNT + token) * BLOCK + at, sizeof bits);
        return _mm512_set1_epi32(bits);
    }
    float scale(int token, int64_t block) const { return scales[block * COUNT + token]; }
    int32_t sum(int token, int64_t block, int group) const { return sums[(block * COUNT + token) * (BLOCK / GROUP) + group]; }
    int32_t sum(int token, int64_t block) const { return sum(token, block, 0) + sum(token, block, 1); }
};

inline __m512i load(const uint8_t * from) { return _mm512_loadu_si512(from); }
inline __m512 halves(const uint8_t * from) { return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *) from)); }
inline __m512 bytes(__m128i from) { return _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(from)); }
inline __m512 signed_bytes(const uint8_t * from) { return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *) from))); }
inline __m512i low(__m512i nibbles) { return _mm512_and_si512(nibbles, _mm512_set1_epi8(15)); }
inline __m512i high(__m512i nibbles) { return low(_mm512_srli_epi16(nibbles, 4)); }

// Puts 16 blocks' groups of SIZE bytes side by side: ``planes`` groups of each, from ``offset`` on.
template <int SIZE> void gather(const uint8_t * const * rows, int offset, int planes, uint8_t * to) {
    for (int plane = 0; plane < planes; plane++) {
        for (int row = 0; row < WIDE; row++) {
            memcpy(to + SIZE * (WIDE * plane + row), rows[row] + offset + SIZE * plane, SIZE);
        }
    }
}

// Adds finished sums of whole numbers to the results, by the scales of 16 rows and of each token.
template <int COUNT> inline void scaled(const __m512i * sum, __m512 scale, const Tokens<COUNT> & tokens, int64_t block, __m512 * result) {
#pragma GCC unroll 12
    for (int t = 0; t < COUNT; t++) {
        const __m512 both = _mm512_mul_ps(scale, _mm512_set1_ps(tokens.scale(t, block)));
        result[t] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(sum[t]), both, result[t]);
    }
}

// Each format: ``NUMBERS`` of a row in ``BYTES``, how 16 rows are laid out, and how their products with COUNT tokens are added to ``result``.

struct Q8_0 {
    static constexpr int NUMBERS = 32, BYTES = 34;

    static void lay(const uint8_t * const * rows, uint8_t * to) {
        gather<4>(rows, 2, 8, to);
        for (int i = 0; i < 512; i++) {
            to[i] ^= 0x80;
        }
        gather<2>(rows, 0, 1, to + 512);
    }

    template <int COUNT> static inline void add(const uint8_t * panel, const Tokens<COUNT> & tokens, int64_t block, __m512 * result) {
        __m512i sum[COUNT];
#pragma GCC unroll 12
        for (int t = 0; t < COUNT; t++) {
            sum[t] = _mm512_set1_epi32(-128 * tokens.sum(t, block));
        }
#pragma GCC unroll 8
        for (int plane = 0; plane < 8; plane++) {
            const __m512i weights = load(panel + 64 * plane);
#pragma GCC unroll 12
            for (int t = 0; t < COUNT; t++) {
                sum[t] = _mm512_dpbusd_epi32(sum[t], weights, tokens.four(t, block, 4 * plane));
            }
        }
        scaled<COUNT>(sum, halves(panel + 512), tokens, block, result);
    }
};

struct Q4_0 {
    static constexpr int NUMBERS = 32, BYTES = 18;

    static void lay(const uint8_t * const * rows, uint8_t * to) {
        gather<4>(rows, 2, 4, to);
        gather<2>(rows, 0, 1, to + 256);
    }

    template <int COUNT> static inline void add(const uint8_t * panel, const Tokens<COUNT> & tokens, int64_t block, __m512 * result) {
        __m512i sum[COUNT];
#pragma GCC unroll 12
        for (int t = 0; t < COUNT; t++) {
            sum[t] = _mm512_set1_epi32(-8 * tokens.sum(t, block));
        }
#pragma GCC unroll 4
        for (int plane = 0; plane < 4; plane++) {
            const __m512i both = load(panel + 64 * plane), first = low(both), second = high(both);
#pragma GCC unroll 12
            for (int t = 0; t < COUNT; t++) {
                sum[t] = _mm512_dpbusd_epi32(sum[t], first, tokens.four(t, block, 4 * plane));
                sum[t] = _mm512_dpbusd_epi32(sum[t], second, tokens.four(t, block, 16 + 4 * plane));
            }
        }
        scaled<COUNT>(sum, halves(panel + 256), tokens, block, result);
    }
};

// Eight parts of 32 numbers, each with a scale and a least value of 6 bits.
struct Q4_K {
    static constexpr int NUMBERS = 256, BYTES = 144;

    static void lay(const uint8_t * const * rows, uint8_t * to) {
        gather<4>(rows, 16, 32, to);
        gather<1>(rows, 4, 12, to + 2048);
        gather<2>(rows, 0, 1, to + 2240);
        gather<2>(rows, 2, 1, to + 2272);
    }

    template <int COUNT> static inline void add(const uint8_t * panel, const Tokens<COUNT> & tokens, int64_t block, __m512 * result) {
        const __m512 scale = halves(panel + 2240), least = halves(panel + 2272);
        for (int part = 0; part < 8; part++) {
            const __m512 part_scale = _mm512_mul_ps(scale, bytes(packed(panel + 2048, part, 0)));
            const __m512 part_least = _mm512_mul_ps(least, bytes(packed(panel + 2048, part, 4)));
            __m512i sum[COUNT];
#pragma GCC unroll 12
            for (int t = 0; t < COUNT; t++) {
                sum[t] = _mm512_setzero_si512();
            }
#pragma GCC unroll 8
            for (int plane = 0; plane < 8; plane++) {
                const __m512i both = load(panel + 64 * (8 * (part / 2) + plane)), weights = part % 2 ? high(both) : low(both);
#pragma GCC unroll 12
                for (int t = 0; t < COUNT; t++) {
                    sum[t] = _mm512_dpbusd_epi32(sum[t], weights, tokens.four(t, block + part, 4 * plane));
                }
            }
            scaled<COUNT>(sum, part_scale, tokens, block + part, result);
#pragma GCC unroll 12
            for (int t = 0; t < COUNT; t++) {
                const float token_sum = tokens.scale(t, block + part) * tokens.sum(t, block + part);
                result[t] = _mm512_fnmadd_ps(part_least, _mm512_set1_ps(token_sum), result[t]);
            }
        }
    }

  private:
    // The 6 bits of a part's scale (``kind`` 0) or least value (4) of 16 rows; ``planes`` are the format's 12 bytes.
    static inline __m128i packed(const uint8_t * planes, int part, int kind) {
        const auto plane = [&](int number) { return _mm_loadu_si128((const __m128i *) (planes + 16 * number)); };
        if (part < 4) {
            return _mm_and_si128(plane(part + kind), _mm_set1_epi8(63));
        }
        const __m128i last = plane(part + 4), nibble = kind ? _mm_srli_epi16(last, 4) : last;
        const __m128i top = _mm_and_si128(_mm_srli_epi16(plane(part - 4 + kind), 2), _mm_set1_epi8(0x30));
        return _mm_or_si128(_mm_and_si128(nibble, _mm_set1_epi8(15)), top);
    }
};

// Sixteen parts of 16 numbers, each with a scale of 8 bits; four bits of a number here and two there.
struct Q6_K {
    static constexpr int NUMBERS = 256, BYTES = 210;

    static void lay(const uint8_t * const * rows, uint8_t * to) {
        gather<4>(rows, 0, 48, to);
        gather<1>(rows, 192, 16, to + 3072);
        gather<2>(rows, 208, 1, to + 3328);
    }

    template <int COUNT> static inline void add(const uint8_t * panel, const Tokens<COUNT> & tokens, int64_t block, __m512 * result) {
        const __m512 scale = halves(panel + 3328);
        for (int half = 0; half < 2; half++) {
            add_32<COUNT, 0>(panel, tokens, block + 4 * half, half, scale, result);
            add_32<COUNT, 1>(panel, tokens, block + 4 * half, half, scale, result);
            add_32<COUNT, 2>(panel, tokens, block + 4 * half, half, scale, result);
            add_32<COUNT, 3>(panel, tokens, block + 4 * half, half, scale, result);
        }
    }

  private:
    template <int COUNT, int QUARTER>
    static inline void add_32(const uint8_t * panel, const Tokens<COUNT> & tokens, int64_t block, int half, __m512 scale, __m512 * result) {
        for (int part = 0; part < 2; part++) {
            __m512i sum[COUNT];
#pragma GCC unroll 12
            for (int t = 0; t < COUNT; t++) {
                sum[t] = _mm512_set1_epi32(-32 * tokens.sum(t, block + QUARTER, part));
            }
#pragma GCC unroll 4
            for (int plane = 4 * part; plane < 4 * part + 4; plane++) {
                const __m512i nibbles = load(panel + 64 * (16 * half + 8 * (QUARTER % 2) + plane)), tops = load(panel + 2048 + 64 * (8 * half + plane));
                const __m512i lower = QUARTER < 2 ? low(nibbles) : high(nibbles);
                const __m512i moved = QUARTER == 0 ? _mm512_slli_epi16(tops, 4) : QUARTER == 1 ? _mm512_slli_epi16(tops, 2) : QUARTER == 2 ? tops : _mm512_srli_epi16(tops, 2);
                const __m512i weights = _mm512_or_si512(lower, _mm512_and_si512(moved, _mm512_set1_epi8(0x30)));
#pragma GCC unroll 12
                for (int t = 0; t < COUNT; t++) {
                    sum[t] = _mm512_dpbusd_epi32(sum[t], weights, tokens.four(t, block + QUARTER, 4 * plane));
                }
            }
            const __m512 part_scale = _mm512_mul_ps(scale, signed_bytes(panel + 3072 + 16 * (8 * half + 2 * QUARTER + part)));
            scaled<COUNT>(sum, part_scale, tokens, block + QUARTER, result);
        }
    }
};

}  // namespace

#endif
