// Flash attention on the CPU for steps of a few tokens: several people's streams in one cache, and guesses being checked.
//
// llama.cpp has two ways. Its plain attention multiplies every token of a step with every cell in use, whoever they belong to; its flash
// attention skips cells that a token does not see, but reads and converts a key anew for each token and each head. Here the cells that
// neighbouring tokens see are gathered once, for all their heads, and both products run on tiles that stay in the first-level cache.
//
// It comes in by the way that llama.cpp keeps for such things: an "extra buffer type" of the CPU backend is asked about every operation
// before the backend's own code is. Ours holds no buffers, takes GGML_OP_FLASH_ATTN_EXT where it can, and leaves all else alone.
//
// What it counts on: masks are 0 or minus infinity (llama.cpp makes others only for ALiBi, which is left to it).

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>

#include "ggml-cpu.h"
#include "traits.h"

#if defined(__AVX512F__) || (defined(__AVX2__) && defined(__F16C__) && defined(__FMA__)) || (defined(__ARM_NEON) && defined(__aarch64__))
#define ENSEMBLE_ATTENTION 1
#endif

#ifdef ENSEMBLE_ATTENTION

#if defined(__ARM_NEON)
#include <arm_neon.h>
#else
#include <immintrin.h>
#endif

namespace {

#if defined(__AVX512F__)
constexpr int LANES = 16;
#elif defined(__AVX2__)
constexpr int LANES = 8;
#else
constexpr int LANES = 4;
#endif
#if defined(__AVX2__) && !defined(__AVX512F__)
constexpr int REGISTERS = 16;
#else
constexpr int REGISTERS = 32;
#endif

typedef float Vector __attribute__((vector_size(4 * LANES)));
typedef int32_t Whole __attribute__((vector_size(4 * LANES)));

constexpr int CHUNK = 64;        // cells whose keys and values are gathered at a time
constexpr int RANGE = 1024;      // cells whose mask is looked at together
constexpr int WORDS = RANGE / 64;
constexpr int TILE_ROWS = 64;    // rows, that is heads of tokens that share their keys, computed together; more only where one token has more
constexpr int FEW = 4;           // as few rows as a vector's lanes would be wasted on
constexpr int KEYS = REGISTERS / 4;    // times two vectors of rows: half of the registers hold sums
constexpr int DEEP = REGISTERS / 8;    // vectors of values, times six rows: three quarters of them
constexpr int PARTS = 16;        // into so many parts a long cache is split, at most, where there is little else to share out
constexpr int SHARED_OUT = 16;   // pieces of work that are enough for all threads

inline Vector load(const float * from) {
    Vector vector;
    memcpy(&vector, from, sizeof vector);
    return vector;
}

inline void store(float * to, Vector vector) { memcpy(to, &vector, sizeof vector); }

inline Vector all(float value) { return Vector{} + value; }

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

// Cephes' polynomial: 1 unit in the last place or two. 0 for what is below -87, minus infinity included.
inline Vector exponential(Vector x) {
    const Vector least = all(-87.0f);
    const Vector held = larger(x, least);
    Vector turns = held * 1.44269504088896341f;
    const Vector magic = all(12582912.0f);  // 1.5 * 2^23: adding it rounds to a whole number
    const Vector shifted = turns + magic;
    turns = shifted - magic;
    Vector rest = held - turns * 0.693359375f;
    rest = rest + turns * 2.12194440e-4f;
    Vector sum = all(1.9875691500e-4f);
    sum = sum * rest + 1.3981999507e-3f;
    sum = sum * rest + 8.3334519073e-3f;
    sum = sum * rest + 4.1665795894e-2f;
    sum = sum * rest + 1.6666665459e-1f;
    sum = sum * rest + 5.0000001201e-1f;
    sum = sum * (rest * rest) + rest + 1.0f;
    Whole exponent;
    memcpy(&exponent, &shifted, sizeof exponent);
    exponent = (exponent + 127) << 23;  // the whole number stands in the lowest bits of the mantissa
    Vector power;
    memcpy(&power, &exponent, sizeof power);
    return x < least ? Vector{} : sum * power;
}

inline float total(Vector vector) {
#if defined(__AVX512F__)
    return _mm512_reduce_add_ps((__m512) vector);
#elif defined(__AVX2__)
    const __m128 half = _mm_add_ps(_mm256_castps256_ps128((__m256) vector), _mm256_extractf128_ps((__m256) vector, 1));
    const __m128 two = _mm_add_ps(half, _mm_movehl_ps(half, half));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
#else
    return vaddvq_f32((float32x4_t) vector);
#endif
}

int padded(int count) { return (count + LANES - 1) / LANES * LANES; }

struct Shape {
    int64_t key_size, value_size, tokens, heads, key_heads, cells;
    int rows_each;    // heads of a token that share a key
    int tile_tokens;
    int64_t tiles;
    int64_t parts, part_cells;

    explicit Shape(const ggml_tensor * op) {
        const ggml_tensor *q = op->src[0], *k = op->src[1], *v = op->src[2];
        key_size = k->ne[0];
        value_size = v->ne[0];
        tokens = q->ne[1];
        heads = q->ne[2];
        key_heads = k->ne[2];
        cells = k->ne[1];
        rows_each = (int) (heads / key_heads);
        tile_tokens = std::max(1, TILE_ROWS / rows_each);
        tiles = (tokens + tile_tokens - 1) / tile_tokens;
        // The same for any number of threads, so that it is the same sum.
        parts = tiles * key_heads >= SHARED_OUT ? 1 : std::min<int64_t>(PARTS, (cells + RANGE - 1) / RANGE);
        part_cells = (cells + parts * RANGE - 1) / (parts * RANGE) * RANGE;
    }

    int tile_rows() const { return tile_tokens * rows_each; }
    // A thread's memory, in floats.
    size_t queries() const { return (size_t) key_size * tile_rows(); }
    size_t turned() const { return (size_t) key_size * (padded(tile_rows()) + LANES); }
    size_t keys() const { return (size_t) CHUNK * key_size; }
    size_t values() const { return (size_t) CHUNK * value_size; }
    size_t scores() const { return (size_t) CHUNK * padded(tile_rows()); }
    size_t sums() const { return (size_t) tile_rows() * value_size; }
    size_t scratch() const { return (queries() + turned() + keys() + values() + scores() + sums() + 3 * (padded(tile_rows()) + LANES) + 15) / 16 * 16; }
    // What a row is, of one part: its maximum, its weight and its values.
    size_t partial() const { return (size_t) value_size + 2; }
    size_t partials() const { return parts > 1 ? (size_t) parts * tokens * heads * partial() : 0; }
};

bool can(const ggml_tensor * op) {
    if (op->op != GGML_OP_FLASH_ATTN_EXT) {
        return false;
    }
    const ggml_tensor *q = op->src[0], *k = op->src[1], *v = op->src[2], *mask = op->src[3];
    float params[3];  // scale, ALiBi's largest bias, soft cap
    memcpy(params, op->op_params, sizeof params);
    const bool plain = params[1] == 0.0f && params[2] == 0.0f;
    const bool typed = q->type == GGML_TYPE_F32 && k->type == v->type && (k->type == GGML_TYPE_F16 || k->type == GGML_TYPE_Q8_0);
    return plain && typed && mask && mask->type == GGML_TYPE_F16 && mask->ne[2] == 1 && mask->ne[3] == 1 && !op->src[4] && q->ne[3] == 1 && k->ne[3] == 1 &&
           k->ne[0] % 32 == 0 && v->ne[0] % 32 == 0 && k->ne[2] == v->ne[2] && q->ne[2] % k->ne[2] == 0;
}

struct Q8 {
    ggml_fp16_t scale;
    int8_t values[32];
};

// A cell's key or value as floats.
inline void widen(const char * from, ggml_type type, int64_t size, float * to) {
    if (type == GGML_TYPE_F16) {
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

inline void fetch(const char * from, size_t bytes) {
    for (size_t at = 0; at < bytes; at += 64) {
        __builtin_prefetch(from + at);
    }
}

// Bit i is set where cell i is seen.
void look(const ggml_fp16_t * mask, int64_t cells, uint64_t * words) {
    for (int64_t word = 0; word < WORDS; word++) {
        const int64_t here = std::min<int64_t>(64, cells - 64 * word);
        uint64_t bits = 0;
        if (here == 64) {
#if defined(__AVX512BW__)
            const __m512i unseen = _mm512_set1_epi16((short) 0xFC00);
            bits = _mm512_cmpneq_epi16_mask(_mm512_loadu_si512(mask + 64 * word), unseen);
            bits |= (uint64_t) _mm512_cmpneq_epi16_mask(_mm512_loadu_si512(mask + 64 * word + 32), unseen) << 32;
#else
            for (int i = 0; i < 64; i++) {
                bits |= (uint64_t) (mask[64 * word + i] != 0xFC00) << i;
            }
#endif
        } else {
            for (int64_t i = 0; i < here; i++) {
                bits |= (uint64_t) (mask[64 * word + i] != 0xFC00) << i;
            }
        }
        words[word] = bits;
    }
}

int count(const uint64_t * words) {
    int sum = 0;
    for (int i = 0; i < WORDS; i++) {
        sum += __builtin_popcountll(words[i]);
    }
    return sum;
}

// scores[key][row] = the product of COUNT keys with VECTORS vectors of rows; queries stand by dimension. SIZE: the keys' size where it is known.
template <int COUNT, int VECTORS, int SIZE>
inline void multiply_keys(const float * queries, int64_t query_stride, const float * keys, int64_t key_size, float * scores, int64_t score_stride) {
    const int64_t size = SIZE ? SIZE : key_size;
    Vector sum[COUNT][VECTORS] = {};
    for (int64_t d = 0; d < size; d++) {
        Vector query[VECTORS];
#pragma GCC unroll 4
        for (int v = 0; v < VECTORS; v++) {
            query[v] = load(queries + d * query_stride + v * LANES);
        }
#pragma GCC unroll 8
        for (int k = 0; k < COUNT; k++) {
            const float key = keys[k * size + d];
#pragma GCC unroll 4
            for (int v = 0; v < VECTORS; v++) {
                sum[k][v] += query[v] * key;
            }
        }
    }
#pragma GCC unroll 8
    for (int k = 0; k < COUNT; k++) {
#pragma GCC unroll 4
        for (int v = 0; v < VECTORS; v++) {
            store(scores + k * score_stride + v * LANES, sum[k][v]);
        }
    }
}

// The same for few rows: a vector is a part of one key. ``queries`` stand by row.
template <int ROWS>
inline void multiply_few(const float * queries, const float * keys, int64_t size, float * scores, int64_t score_stride) {
    for (int key = 0; key < CHUNK; key++) {
        Vector sum[ROWS] = {};
        for (int64_t d = 0; d < size; d += LANES) {
            const Vector part = load(keys + key * size + d);
#pragma GCC unroll 4
            for (int row = 0; row < ROWS; row++) {
                sum[row] += part * load(queries + row * size + d);
            }
        }
#pragma GCC unroll 4
        for (int row = 0; row < ROWS; row++) {
            scores[key * score_stride + row] = total(sum[row]);
        }
    }
}

// sums[row] += weights of CHUNK cells times their values, for ROWS rows and VECTORS vectors of each.
template <int ROWS, int VECTORS>
inline void add_values(const float * weights, int64_t weight_stride, const float * values, int64_t size, float * sums) {
    Vector sum[ROWS][VECTORS];
#pragma GCC unroll 8
    for (int row = 0; row < ROWS; row++) {
#pragma GCC unroll 8
        for (int v = 0; v < VECTORS; v++) {
            sum[row][v] = load(sums + row * size + v * LANES);
        }
    }
    for (int cell = 0; cell < CHUNK; cell++) {
        Vector value[VECTORS];
#pragma GCC unroll 8
        for (int v = 0; v < VECTORS; v++) {
            value[v] = load(values + cell * size + v * LANES);
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
            store(sums + row * size + v * LANES, sum[row][v]);
        }
    }
}

template <int VECTORS>
void add_values(int rows, const float * weights, int64_t weight_stride, const float * values, int64_t size, float * sums) {
    int row = 0;
    for (; row + 6 <= rows; row += 6) {
        add_values<6, VECTORS>(weights + row, weight_stride, values, size, sums + row * size);
    }
    switch (rows - row) {
        case 5: add_values<5, VECTORS>(weights + row, weight_stride, values, size, sums + row * size); break;
        case 4: add_values<4, VECTORS>(weights + row, weight_stride, values, size, sums + row * size); break;
        case 3: add_values<3, VECTORS>(weights + row, weight_stride, values, size, sums + row * size); break;
        case 2: add_values<2, VECTORS>(weights + row, weight_stride, values, size, sums + row * size); break;
        case 1: add_values<1, VECTORS>(weights + row, weight_stride, values, size, sums + row * size); break;
        default: break;
    }
}

// One head of keys and a tile of tokens: its memory, and what it has seen.
class Tile {
  public:
    Tile(const ggml_tensor * op, const Shape & shape, float * scratch) : op(op), shape(shape) {
        queries = scratch;
        turned = queries + shape.queries();
        keys = turned + shape.turned();
        values = keys + shape.keys();
        scores = values + shape.values();
        sums = scores + shape.scores();
        most = sums + shape.sums();
        weight = most + padded(shape.tile_rows()) + LANES;
        before = weight + padded(shape.tile_rows()) + LANES;
    }

    void begin(int64_t key_head, int64_t tile) {
        head = key_head;
        first = tile * shape.tile_tokens;
        tokens = (int) std::min<int64_t>(shape.tile_tokens, shape.tokens - first);
        rows = tokens * shape.rows_each;
        stride = padded(rows) + LANES;
        const ggml_tensor * q = op->src[0];
        float scale;
        memcpy(&scale, op->op_params, sizeof scale);
        for (int row = 0; row < rows; row++) {
            const float * from = (const float *) ((const char *) q->data + (first + row / shape.rows_each) * q->nb[1] + (head * shape.rows_each + row % shape.rows_each) * q->nb[2]);
            for (int64_t d = 0; d < shape.key_size; d++) {
                turned[d * stride + row] = queries[row * shape.key_size + d] = scale * from[d];
            }
        }
        for (int64_t d = 0; d < shape.key_size; d++) {
            std::fill(turned + d * stride + rows, turned + (d + 1) * stride, 0.0f);
        }
        std::fill(sums, sums + (size_t) rows * shape.value_size, 0.0f);
        std::fill(most, most + stride, -INFINITY);
        std::fill(weight, weight + stride, 0.0f);
    }

    // Takes in the cells [begin, end), at most RANGE.
    void see(int64_t begin, int64_t end) {
        const ggml_tensor * mask = op->src[3];
        uint64_t seen[TILE_ROWS][WORDS];
        int counts[TILE_ROWS];
        for (int token = 0; token < tokens; token++) {
            look((const ggml_fp16_t *) ((const char *) mask->data + (first + token) * mask->nb[1]) + begin, end - begin, seen[token]);
            counts[token] = count(seen[token]);
        }
        // Tokens that see mostly the same are computed together: those of one stream, and streams with the same beginning.
        for (int token = 0; token < tokens;) {
            if (!counts[token]) {
                token++;
                continue;
            }
            uint64_t together[WORDS];
            memcpy(together, seen[token], sizeof together);
            int size = counts[token], last = token + 1;
            for (; last < tokens; last++) {
                int common = 0;
                for (int i = 0; i < WORDS; i++) {
                    common += __builtin_popcountll(together[i] & seen[last][i]);
                }
                if (4 * common < 3 * std::max(size, counts[last])) {
                    break;
                }
                for (int i = 0; i < WORDS; i++) {
                    together[i] |= seen[last][i];
                }
                size += counts[last] - common;
            }
            take(token, last, begin, together, size, seen, counts);
            token = last;
        }
    }

    // Writes the tokens' results where the operation wants them.
    void finish() {
        for (int row = 0; row < rows; row++) {
            const float share = weight[row] == 0.0f ? 0.0f : 1.0f / weight[row];
            const float * from = sums + row * shape.value_size;
            float * to = result(row);
            for (int64_t d = 0; d < shape.value_size; d++) {
                to[d] = share * from[d];
            }
        }
    }

    // Writes them for ``join``.
    void keep(float * partials, int64_t part) {
        for (int row = 0; row < rows; row++) {
            const int64_t token = first + row / shape.rows_each, query_head = head * shape.rows_each + row % shape.rows_each;
            float * to = partials + ((token * shape.heads + query_head) * shape.parts + part) * shape.partial();
            to[0] = most[row];
            to[1] = weight[row];
            memcpy(to + 2, sums + row * shape.value_size, shape.value_size * sizeof(float));
        }
    }

  private:
    float * result(int row) {
        const int64_t token = first + row / shape.rows_each, query_head = head * shape.rows_each + row % shape.rows_each;
        return (float *) ((char *) op->data + token * op->nb[2] + query_head * op->nb[1]);
    }

    // The cells of ``together`` for the tokens [from, to).
    void take(int from, int to, int64_t begin, const uint64_t * together, int size, const uint64_t (*seen)[WORDS], const int * counts) {
        const ggml_tensor *k = op->src[1], *v = op->src[2];
        int32_t cells[RANGE];
        int length = 0;
        for (int word = 0; word < WORDS; word++) {
            for (uint64_t bits = together[word]; bits; bits &= bits - 1) {
                cells[length++] = 64 * word + __builtin_ctzll(bits);
            }
        }
        const int row = from * shape.rows_each, count = (to - from) * shape.rows_each;
        const int64_t score_stride = padded(count);
        const size_t key_bytes = ggml_row_size(k->type, shape.key_size), value_bytes = ggml_row_size(v->type, shape.value_size);
        for (int at = 0; at < size; at += CHUNK) {
            const int here = std::min(CHUNK, size - at);
            for (int i = 0; i < here; i++) {
                // The next ones are on their way while these are computed with.
                const int64_t cell = begin + cells[at + i], later = begin + cells[std::min(at + i + CHUNK, size - 1)];
                fetch((const char *) k->data + later * k->nb[1] + head * k->nb[2], key_bytes);
                fetch((const char *) v->data + later * v->nb[1] + head * v->nb[2], value_bytes);
                widen((const char *) k->data + cell * k->nb[1] + head * k->nb[2], k->type, shape.key_size, keys + i * shape.key_size);
                widen((const char *) v->data + cell * v->nb[1] + head * v->nb[2], v->type, shape.value_size, values + i * shape.value_size);
            }
            if (here < CHUNK) {
                std::fill(keys + here * shape.key_size, keys + CHUNK * shape.key_size, 0.0f);
                std::fill(values + here * shape.value_size, values + CHUNK * shape.value_size, 0.0f);
            }
            score(row, count, score_stride);
            for (int key = here; key < CHUNK; key++) {
                std::fill(scores + key * score_stride, scores + (key + 1) * score_stride, -INFINITY);
            }
            for (int token = from; token < to; token++) {
                if (counts[token] != size) {
                    hide(seen[token], cells + at, here, scores + (token - from) * shape.rows_each, score_stride);
                }
            }
            soften(row, count, score_stride);
            add(row, count, score_stride);
        }
    }

    void score(int row, int count, int64_t score_stride) {
        if (count <= FEW) {
            const float * from = queries + row * shape.key_size;
            switch (count) {
                case 1: multiply_few<1>(from, keys, shape.key_size, scores, score_stride); break;
                case 2: multiply_few<2>(from, keys, shape.key_size, scores, score_stride); break;
                case 3: multiply_few<3>(from, keys, shape.key_size, scores, score_stride); break;
                default: multiply_few<4>(from, keys, shape.key_size, scores, score_stride); break;
            }
            return;
        }
        switch (shape.key_size) {
            case 64: score_many<64>(row, count, score_stride); break;
            case 128: score_many<128>(row, count, score_stride); break;
            default: score_many<0>(row, count, score_stride); break;
        }
    }

    template <int SIZE>
    void score_many(int row, int count, int64_t score_stride) {
        const int vectors = padded(count) / LANES;
        int at = 0;
        for (; at + 2 <= vectors; at += 2) {
            for (int key = 0; key < CHUNK; key += KEYS) {
                const float * from = keys + key * shape.key_size;
                multiply_keys<KEYS, 2, SIZE>(turned + row + at * LANES, stride, from, shape.key_size, scores + key * score_stride + at * LANES, score_stride);
            }
        }
        for (; at < vectors; at++) {
            for (int key = 0; key < CHUNK; key += KEYS) {
                const float * from = keys + key * shape.key_size;
                multiply_keys<KEYS, 1, SIZE>(turned + row + at * LANES, stride, from, shape.key_size, scores + key * score_stride + at * LANES, score_stride);
            }
        }
    }

    void hide(const uint64_t * seen, const int32_t * cells, int here, float * from, int64_t score_stride) {
        for (int i = 0; i < here; i++) {
            if (!(seen[cells[i] / 64] >> (cells[i] % 64) & 1)) {
                for (int each = 0; each < shape.rows_each; each++) {
                    from[i * score_stride + each] = -INFINITY;
                }
            }
        }
    }

    // Scores become weights; what was summed before is put right where a larger score has come. Rows beyond ``count`` are computed along and mean nothing.
    void soften(int row, int count, int64_t score_stride) {
        for (int64_t at = 0; at < count; at += LANES) {
            Vector largest = load(most + row + at);
            const Vector old = largest;
            for (int key = 0; key < CHUNK; key++) {
                largest = larger(largest, load(scores + key * score_stride + at));
            }
            const Vector level = largest == -INFINITY ? Vector{} : largest;
            Vector sum = {};
            for (int key = 0; key < CHUNK; key++) {
                const Vector share = exponential(load(scores + key * score_stride + at) - level);
                store(scores + key * score_stride + at, share);
                sum += share;
            }
            const Vector kept = exponential(old - level);
            const int here = (int) std::min<int64_t>(LANES, count - at);
            const Vector weighed = load(weight + row + at) * kept + sum;
            for (int i = 0; i < here; i++) {
                most[row + at + i] = largest[i];
                weight[row + at + i] = weighed[i];
                before[at + i] = kept[i];
            }
        }
        for (int i = 0; i < count; i++) {
            if (before[i] != 1.0f) {
                float * sum = sums + (row + i) * shape.value_size;
                for (int64_t d = 0; d < shape.value_size; d += LANES) {
                    store(sum + d, load(sum + d) * before[i]);
                }
            }
        }
    }

    void add(int row, int count, int64_t score_stride) {
        float * to = sums + row * shape.value_size;
        int64_t d = 0;
        for (; d + DEEP * LANES <= shape.value_size; d += DEEP * LANES) {
            add_values<DEEP>(count, scores, score_stride, values + d, shape.value_size, to + d);
        }
        for (; d < shape.value_size; d += LANES) {
            add_values<1>(count, scores, score_stride, values + d, shape.value_size, to + d);
        }
    }

    const ggml_tensor * op;
    const Shape & shape;
    float *queries, *turned, *keys, *values, *scores, *sums, *most, *weight, *before;
    int64_t head = 0, first = 0, stride = 0;
    int tokens = 0, rows = 0;
};

// A row's parts put together.
void join(const ggml_tensor * op, const Shape & shape, const float * partials, int64_t row) {
    const float * parts = partials + row * shape.parts * shape.partial();
    float most = -INFINITY, weight = 0;
    for (int64_t part = 0; part < shape.parts; part++) {
        most = std::max(most, parts[part * shape.partial()]);
    }
    float * to = (float *) ((char *) op->data + row / shape.heads * op->nb[2] + row % shape.heads * op->nb[1]);
    std::fill(to, to + shape.value_size, 0.0f);
    for (int64_t part = 0; part < shape.parts; part++) {
        const float * from = parts + part * shape.partial();
        if (from[1] == 0.0f) {
            continue;
        }
        const float share = expf(from[0] - most);
        weight += share * from[1];
        for (int64_t d = 0; d < shape.value_size; d++) {
            to[d] += share * from[2 + d];
        }
    }
    for (int64_t d = 0; weight != 0.0f && d < shape.value_size; d++) {
        to[d] /= weight;
    }
}

class Attention : public ggml::cpu::tensor_traits {
  public:
    bool work_size(int threads, const ggml_tensor * op, size_t & size) override {
        const Shape shape(op);
        size = sizeof(float) * (threads * shape.scratch() + shape.partials() + 16);
        return true;
    }

    bool compute_forward(ggml_compute_params * params, ggml_tensor * op) override {
        const Shape shape(op);
        float * memory = (float *) (((uintptr_t) params->wdata + 63) / 64 * 64);
        float * partials = memory + params->nth * shape.scratch();
        Tile tile(op, shape, memory + params->ith * shape.scratch());
        const int64_t pieces = shape.key_heads * shape.tiles * shape.parts;
        for (int64_t piece = params->ith; piece < pieces; piece += params->nth) {
            const int64_t part = piece / shape.key_heads % shape.parts;
            tile.begin(piece % shape.key_heads, piece / shape.key_heads / shape.parts);
            const int64_t end = std::min(shape.cells, (part + 1) * shape.part_cells);
            for (int64_t cell = part * shape.part_cells; cell < end; cell += RANGE) {
                tile.see(cell, std::min(cell + RANGE, end));
            }
            if (shape.parts == 1) {
                tile.finish();
            } else {
                tile.keep(partials, part);
            }
        }
        if (shape.parts > 1) {
            ggml_barrier(params->threadpool);
            for (int64_t row = params->ith; row < shape.tokens * shape.heads; row += params->nth) {
                join(op, shape, partials, row);
            }
        }
        return true;
    }
};

class Way : public ggml::cpu::extra_buffer_type {
  public:
    bool supports_op(ggml_backend_dev_t, const ggml_tensor *) override { return false; }  // no weights come here
    ggml::cpu::tensor_traits * get_tensor_traits(const ggml_tensor * op) override { return on && can(op) ? &attention : nullptr; }

    bool on = false;

  private:
    Attention attention;
};

const char * name(ggml_backend_buffer_type_t) { return "ENSEMBLE_ATTENTION"; }
size_t alignment(ggml_backend_buffer_type_t) { return 64; }

Way way;
ggml_backend_buffer_type type = {};

}  // namespace

// Whether from now on it is used; 0 where this processor has no way for it. Not beside a running computation.
extern "C" int ensemble_attention(int on) {
    if (on && !type.context) {
        type.iface.get_name = name;
        type.iface.get_alignment = alignment;
        type.device = ggml_backend_reg_dev_get(ggml_backend_cpu_reg(), 0);
        type.context = &way;
        ggml_backend_cpu_get_extra_buffer_types().push_back(&type);
    }
    way.on = on;
    return 1;
}

#else

extern "C" int ensemble_attention(int) { return 0; }

#endif
