// The inner loops of attention: what queries and keys have in common, and the sums of values.

#pragma once

#include <algorithm>
#include <cstdint>

#include "ggml.h"
#include "vectors.h"

#ifdef ENSEMBLE_VECTORS

namespace {

constexpr int KEYS = REGISTERS / 4;    // times two vectors of rows: half of the registers hold sums
constexpr int DEEP = REGISTERS / 8;    // vectors of values, times MOST_ROWS: most of them
constexpr int MOST_ROWS = LANES == 16 ? 7 : 6;   // AVX-512 needs no register for a weight
constexpr int MOST_SPLIT = std::min(4, LANES / 2);

struct Q8 {
    ggml_fp16_t scale;
    int8_t values[32];
};

// A cell's key or value as floats.
template <int SIZE> inline void widen(const char * from, ggml_type type, int64_t any_size, float * to) {
    const int64_t size = SIZE ? SIZE : any_size;
    if (type == GGML_TYPE_F16) {
#pragma GCC unroll 8
        for (int64_t i = 0; i < size; i += LANES) {
            store(to + i, load_halves((const ggml_fp16_t *) from + i));
        }
        return;
    }
    const Q8 * blocks = (const Q8 *) from;
    for (int64_t block = 0; block < size / 32; block++) {
        const float scale = ggml_fp16_to_fp32(blocks[block].scale);
        for (int i = 0; i < 32; i++) {
            to[32 * block + i] = scale * blocks[block].values[i];
        }
    }
}

// sum[key][vector] = the products of COUNT keys with VECTORS vectors of rows, of PARTS dimensions in every SPLIT, in the order of ``folded``.
template <int SPLIT, int PARTS, int SIZE, int COUNT, int VECTORS>
inline void multiply_parts(const float * queries, int64_t query_stride, const float * keys, int64_t key_size, Vector (&sum)[COUNT][VECTORS]) {
    // As many at a time as there are registers for their sums.
    constexpr int HERE = std::min(PARTS, REGISTERS / 2 / (COUNT * VECTORS));
    if constexpr (PARTS > HERE) {
        Vector other[COUNT][VECTORS];
        multiply_parts<SPLIT, PARTS / 2, SIZE>(queries, query_stride, keys, key_size, sum);
        multiply_parts<SPLIT, PARTS / 2, SIZE>(queries + PARTS / 2 * query_stride, query_stride, keys + PARTS / 2, key_size, other);
#pragma GCC unroll 8
        for (int k = 0; k < COUNT; k++) {
#pragma GCC unroll 4
            for (int v = 0; v < VECTORS; v++) {
                sum[k][v] += other[k][v];
            }
        }
    } else {
        const int64_t size = SIZE ? SIZE : key_size;
        Vector parts[HERE][COUNT][VECTORS] = {};
#pragma GCC unroll 8
        for (int64_t d = 0; d < size; d += SPLIT) {
#pragma GCC unroll 4
            for (int part = 0; part < HERE; part++) {
                Vector query[VECTORS];
#pragma GCC unroll 4
                for (int v = 0; v < VECTORS; v++) {
                    query[v] = load(queries + (d + part) * query_stride + v * LANES);
                }
#pragma GCC unroll 8
                for (int k = 0; k < COUNT; k++) {
                    const float key = keys[k * size + d + part];
#pragma GCC unroll 4
                    for (int v = 0; v < VECTORS; v++) {
                        parts[part][k][v] += query[v] * key;
                    }
                }
            }
        }
#pragma GCC unroll 8
        for (int k = 0; k < COUNT; k++) {
#pragma GCC unroll 4
            for (int v = 0; v < VECTORS; v++) {
                if constexpr (HERE == 1) {
                    sum[k][v] = parts[0][k][v];
                } else if constexpr (HERE == 2) {
                    sum[k][v] = parts[0][k][v] + parts[1][k][v];
                } else {
                    sum[k][v] = (parts[0][k][v] + parts[1][k][v]) + (parts[2][k][v] + parts[3][k][v]);
                }
            }
        }
    }
}

// scores[key][row] = the products of COUNT keys with VECTORS vectors of rows; queries stand by dimension. SIZE: the keys' size where it is known.
template <int SPLIT, int COUNT, int VECTORS, int SIZE>
inline void multiply_keys(const float * queries, int64_t query_stride, const float * keys, int64_t key_size, float * scores, int64_t score_stride) {
    Vector sum[COUNT][VECTORS];
    multiply_parts<SPLIT, SPLIT, SIZE>(queries, query_stride, keys, key_size, sum);
#pragma GCC unroll 8
    for (int k = 0; k < COUNT; k++) {
#pragma GCC unroll 4
        for (int v = 0; v < VECTORS; v++) {
            store(scores + k * score_stride + v * LANES, sum[k][v]);
        }
    }
}

// What SPLIT keys' vectors have in the lanes of each row, summed: key by key the rows.
template <int SPLIT, int COUNT> inline Vector folded(const Vector (&sum)[COUNT], int key) {
    if constexpr (SPLIT == 1) {
        return sum[key];
    } else {
        return pairs(folded<SPLIT / 2>(sum, key), folded<SPLIT / 2>(sum, key + SPLIT / 2));
    }
}

// The same for one token alone: ``queries`` stand by SPLIT dimensions, row by row.
template <int SPLIT, int COUNT, int SIZE> inline void multiply_keys_alone(const float * queries, const float * keys, int64_t key_size, float * scores) {
    const int64_t size = SIZE ? SIZE : key_size;
    Vector sum[COUNT] = {};
    for (int64_t d = 0; d < size; d += SPLIT) {
        const Vector query = load(queries + d / SPLIT * LANES);
#pragma GCC unroll 16
        for (int k = 0; k < COUNT; k++) {
            sum[k] += query * repeated<SPLIT>(keys + k * size + d);
        }
    }
#pragma GCC unroll 16
    for (int k = 0; k < COUNT; k += SPLIT) {
        store(scores + k * (LANES / SPLIT), folded<SPLIT>(sum, k));
    }
}

// Cells of a cache, which stand where ``cells`` says; ``bytes`` of each are of interest.
struct Cells {
    const char * from;
    const int32_t * cells;
    size_t stride, bytes;

    const char * at(int number) const { return from + cells[number] * stride; }

    void fetch(int number) const {
        for (size_t offset = 0; offset < bytes; offset += 64) {
            __builtin_prefetch(at(number) + offset);
        }
    }
};

// Where values come from: widened beforehand, or as halves from the cache, which is better where they are read but once.
struct Widened {
    const float * from;
    int64_t size;

    Vector get(int cell, int64_t d) const { return load(from + cell * size + d); }
};

struct Halves {
    Cells cells;

    Vector get(int cell, int64_t d) const { return load_halves((const ggml_fp16_t *) cells.at(cell) + d); }
};

// sums[row] += weights of ``count`` cells times their values from ``d`` on, for ROWS rows and VECTORS vectors of each; ``next``, where there are any, are fetched.
template <int ROWS, int VECTORS, class Values>
inline void add_values(int count, const float * weights, int64_t weight_stride, const Values & values, int64_t d, int64_t size, float * sums, const Cells * next) {
    Vector sum[ROWS][VECTORS];
#pragma GCC unroll 8
    for (int row = 0; row < ROWS; row++) {
#pragma GCC unroll 8
        for (int v = 0; v < VECTORS; v++) {
            sum[row][v] = load(sums + row * size + d + v * LANES);
        }
    }
    for (int cell = 0; cell < count; cell++) {
        if (next) {
            next->fetch(cell);
        }
        Vector value[VECTORS];
#pragma GCC unroll 8
        for (int v = 0; v < VECTORS; v++) {
            value[v] = values.get(cell, d + v * LANES);
        }
#pragma GCC unroll 8
        for (int row = 0; row < ROWS; row++) {
            const float weight = weights[cell * weight_stride + row];
#pragma GCC unroll 8
            for (int v = 0; v < VECTORS; v++) {
                sum[row][v] += value[v] * weight;
            }
        }
    }
#pragma GCC unroll 8
    for (int row = 0; row < ROWS; row++) {
#pragma GCC unroll 8
        for (int v = 0; v < VECTORS; v++) {
            store(sums + row * size + d + v * LANES, sum[row][v]);
        }
    }
}

// The same for any number of rows up to ROWS.
template <int VECTORS, int ROWS = MOST_ROWS, class Values>
void add_values(int rows, int count, const float * weights, int64_t weight_stride, const Values & values, int64_t d, int64_t size, float * sums, const Cells * next) {
    if (rows == ROWS) {
        add_values<ROWS, VECTORS>(count, weights, weight_stride, values, d, size, sums, next);
    } else if constexpr (ROWS > 1) {
        add_values<VECTORS, ROWS - 1>(rows, count, weights, weight_stride, values, d, size, sums, next);
    }
}

}  // namespace

#endif
