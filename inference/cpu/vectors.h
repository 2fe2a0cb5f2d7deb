// Vectors of floats as wide as this processor has them: AVX-512, AVX2 or NEON.

#pragma once

#include <cstdint>
#include <cstring>

#include "ggml.h"

#if defined(__AVX512F__) || (defined(__AVX2__) && defined(__F16C__) && defined(__FMA__)) || (defined(__ARM_NEON) && defined(__aarch64__))
#define ENSEMBLE_VECTORS 1
#endif

#ifdef ENSEMBLE_VECTORS

#if defined(__ARM_NEON)
#include <arm_neon.h>
#else
#include <immintrin.h>
#endif

namespace {

#if defined(__AVX512F__)
constexpr int LANES = 16, REGISTERS = 32;
#define ENSEMBLE_EVEN 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30
#define ENSEMBLE_ODD 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31
#elif defined(__AVX2__)
constexpr int LANES = 8, REGISTERS = 16;
#define ENSEMBLE_EVEN 0, 2, 4, 6, 8, 10, 12, 14
#define ENSEMBLE_ODD 1, 3, 5, 7, 9, 11, 13, 15
#else
constexpr int LANES = 4, REGISTERS = 32;
#define ENSEMBLE_EVEN 0, 2, 4, 6
#define ENSEMBLE_ODD 1, 3, 5, 7
#endif

// COUNT floats, side by side.
template <int COUNT> struct Some {
    typedef float type __attribute__((vector_size(4 * COUNT)));
};
typedef Some<LANES>::type Vector;
typedef int32_t Whole __attribute__((vector_size(4 * LANES)));

template <class Type = Vector> inline Type load(const float * from) {
    Type vector;
    memcpy(&vector, from, sizeof vector);
    return vector;
}

template <class Type> inline void store(float * to, Type vector) { memcpy(to, &vector, sizeof vector); }

inline Vector all(float value) { return Vector{} + value; }

// COUNT floats again and again.
template <int COUNT> inline Vector repeated(const float * from) {
    if constexpr (COUNT == 1) {
        return all(*from);
    } else if constexpr (COUNT == LANES) {
        return load(from);
    } else {
#if defined(__AVX512F__)
        if constexpr (COUNT == 2) {
            double two;
            memcpy(&two, from, sizeof two);
            return (Vector) _mm512_set1_pd(two);
        } else if constexpr (COUNT == 4) {
            return (Vector) _mm512_broadcast_f32x4(_mm_loadu_ps(from));
        } else {
            return (Vector) _mm512_castpd_ps(_mm512_broadcast_f64x4(_mm256_loadu_pd((const double *) from)));
        }
#elif defined(__AVX2__)
        if constexpr (COUNT == 2) {
            double two;
            memcpy(&two, from, sizeof two);
            return (Vector) _mm256_set1_pd(two);
        } else {
            return (Vector) _mm256_broadcast_ps((const __m128 *) from);
        }
#else
        double two;
        memcpy(&two, from, sizeof two);
        return (Vector) vdupq_n_f64(two);
#endif
    }
}

// The sums of neighbours: first those of ``a``, then those of ``b``.
inline Vector pairs(Vector a, Vector b) {
#if defined(__clang__)
    return __builtin_shufflevector(a, b, ENSEMBLE_EVEN) + __builtin_shufflevector(a, b, ENSEMBLE_ODD);
#else
    return __builtin_shuffle(a, b, Whole{ENSEMBLE_EVEN}) + __builtin_shuffle(a, b, Whole{ENSEMBLE_ODD});
#endif
}

inline Vector load_halves(const ggml_fp16_t * from) {
#if defined(__AVX512F__)
    return (Vector) _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *) from));
#elif defined(__AVX2__)
    return (Vector) _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *) from));
#else
    return (Vector) vcvt_f32_f16(vld1_f16((const __fp16 *) from));
#endif
}

inline Vector larger(Vector a, Vector b) { return a > b ? a : b; }

// The nearest whole number. Adding 1.5 * 2^23 rounds to one, which then stands in the lowest bits of the mantissa.
inline Vector whole(Vector x, Whole & bits) {
    const Vector magic = all(12582912.0f);
    const Vector shifted = x + magic;
    memcpy(&bits, &shifted, sizeof bits);
    return shifted - magic;
}

// 2^(x - level) for a whole ``level``: that of x, to the last bit or two, times a power of two that changes no digit, so that it does not matter when the
// level rose. 0 where it would be below 2^-126, for minus infinity too. What is no number stays none.
inline Vector power(Vector x, Vector level) {
    const Vector least = all(-4100000.0f), held = x < least ? least : x;
    Whole bits;
    const Vector turns = whole(held, bits), rest = (held - turns) * 0.69314718055994531f;
    Vector sum = all(1.9875691500e-4f);  // Cephes
    sum = sum * rest + 1.3981999507e-3f;
    sum = sum * rest + 8.3334519073e-3f;
    sum = sum * rest + 4.1665795894e-2f;
    sum = sum * rest + 1.6666665459e-1f;
    sum = sum * rest + 5.0000001201e-1f;
    sum = sum * (rest * rest) + rest + 1.0f;
    const Vector up = turns - level;
    whole(up, bits);
    bits = (bits + 127) << 23;
    Vector scale;
    memcpy(&scale, &bits, sizeof scale);
    return up < -126.0f ? Vector{} : sum * scale;
}

}  // namespace

#endif
