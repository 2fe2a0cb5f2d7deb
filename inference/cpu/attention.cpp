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
constexpr int KEYS = REGISTERS / 4;    // times two vectors of rows: half of the registers hold sums
constexpr int DEEP = REGISTERS / 8;    // vectors of values, times six rows: three quarters of them

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

int padded(int count) { return (count + LANES - 1) / LANES * LANES; }

struct Shape {
    int64_t key_size, value_size, tokens, heads, key_heads, cells;
    int rows_each;    // heads of a token that share a key
    int tile_tokens;
    int64_t tiles;

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
    }

    int tile_rows() const { return tile_tokens * rows_each; }
    // A thread's memory, in floats.
    size_t queries() const { return (size_t) key_size * (padded(tile_rows()) + LANES); }
    size_t keys() const { return (size_t) CHUNK * key_size; }
    size_t values() const { return (size_t) CHUNK * value_size; }
    size_t scores() const { return (size_t) CHUNK * padded(tile_rows()); }
    size_t sums() const { return (size_t) tile_rows() * value_size; }
    size_t scratch() const { return (queries() + keys() + values() + scores() + sums() + 3 * (padded(tile_rows()) + LANES) + 15) / 16 * 16; }
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
            const __mmask32 first = _mm512_cmpneq_epi16_mask(_mm512_loadu_si512(mask + 64 * word), unseen);
            // Put together as masks: where GCC 12 keeps a half in memory it writes 4 bytes of 8 and reads all.
            bits = _mm512_kunpackd(_mm512_cmpneq_epi16_mask(_mm512_loadu_si512(mask + 64 * word + 32), unseen), first);
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
        keys = queries + shape.queries();
        values = keys + shape.keys();
        scores = values + shape.values();
        sums = scores + shape.scores();
        most = sums + shape.sums();
        weight = most + padded(shape.tile_rows()) + LANES;
        before = weight + padded(shape.tile_rows()) + LANES;
    }

    // ``from`` and ``to``: which of the heads that share the key. ``together``: whether tokens that see mostly the same are computed together.
    void begin(int64_t key_head, int64_t tile, int from, int to, bool together) {
        may_group = together;
        grouped = false;
        head = key_head;
        first_head = from;
        heads = to - from;
        first = tile * shape.tile_tokens;
        tokens = (int) std::min<int64_t>(shape.tile_tokens, shape.tokens - first);
        rows = tokens * heads;
        stride = padded(rows) + LANES;
        const ggml_tensor * q = op->src[0];
        float scale;
        memcpy(&scale, op->op_params, sizeof scale);
        scale *= 1.44269504088896341f;  // weights are powers of two
        for (int row = 0; row < rows; row++) {
            const float * from = (const float *) ((const char *) q->data + token(row) * q->nb[1] + query_head(row) * q->nb[2]);
            for (int64_t d = 0; d < shape.key_size; d++) {
                queries[d * stride + row] = scale * from[d];
            }
        }
        for (int64_t d = 0; d < shape.key_size; d++) {
            std::fill(queries + d * stride + rows, queries + (d + 1) * stride, 0.0f);
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
            for (; may_group && last < tokens; last++) {
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
            grouped |= last > token + 1;
            take(token, last, begin, together, size, seen, counts);
            token = last;
        }
    }

    // Writes the tokens' results where the operation wants them. False where one is no number, and may not be so but for a token computed with it: a cell that is
    // not seen weighs nothing, but nothing times infinity is no number.
    bool finish() {
        float all = 0;
        for (int row = 0; row < rows; row++) {
            const float share = weight[row] == 0.0f ? 0.0f : 1.0f / weight[row];
            const float * from = sums + row * shape.value_size;
            float * to = (float *) ((char *) op->data + token(row) * op->nb[2] + query_head(row) * op->nb[1]);
            for (int64_t d = 0; d < shape.value_size; d++) {
                to[d] = share * from[d];
                all += 0 * to[d];
            }
        }
        return all == 0 || !grouped;
    }

  private:
    int64_t token(int row) const { return first + row / heads; }
    int64_t query_head(int row) const { return head * shape.rows_each + first_head + row % heads; }

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
        const int row = from * heads, count = (to - from) * heads;
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
                    hide(seen[token], cells + at, here, scores + (token - from) * heads, score_stride);
                }
            }
            soften(row, count, score_stride);
            add(row, count, score_stride);
        }
    }

    void score(int row, int count, int64_t score_stride) {
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
                multiply_keys<KEYS, 2, SIZE>(queries + row + at * LANES, stride, from, shape.key_size, scores + key * score_stride + at * LANES, score_stride);
            }
        }
        for (; at < vectors; at++) {
            for (int key = 0; key < CHUNK; key += KEYS) {
                const float * from = keys + key * shape.key_size;
                multiply_keys<KEYS, 1, SIZE>(queries + row + at * LANES, stride, from, shape.key_size, scores + key * score_stride + at * LANES, score_stride);
            }
        }
    }

    void hide(const uint64_t * seen, const int32_t * cells, int here, float * from, int64_t score_stride) {
        for (int i = 0; i < here; i++) {
            if (!(seen[cells[i] / 64] >> (cells[i] % 64) & 1)) {
                for (int each = 0; each < heads; each++) {
                    from[i * score_stride + each] = -INFINITY;
                }
            }
        }
    }

    // Scores become weights; what was summed before is put right where a larger score has come. All in the order of the cells, and a cell that is not seen adds
    // nothing: a row's sums are the same whoever is computed with it. Rows beyond ``count`` are computed along and mean nothing.
    void soften(int row, int count, int64_t score_stride) {
        for (int64_t at = 0; at < count; at += LANES) {
            // Where nothing has been seen the largest score is minus infinity: the level is not.
            Vector largest = all(-4000000.0f);
            for (int key = 0; key < CHUNK; key++) {
                largest = larger(largest, load(scores + key * score_stride + at));
            }
            Whole bits;
            const Vector old = load(most + row + at), level = larger(old, whole(largest, bits) + 1.0f);
            const Vector kept = power(old, level);
            Vector sum = load(weight + row + at) * kept;
            for (int key = 0; key < CHUNK; key++) {
                const Vector share = power(load(scores + key * score_stride + at), level);
                store(scores + key * score_stride + at, share);
                sum += share;
            }
            const int here = (int) std::min<int64_t>(LANES, count - at);
            for (int i = 0; i < here; i++) {
                most[row + at + i] = level[i];
                weight[row + at + i] = sum[i];
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
    float *queries, *keys, *values, *scores, *sums, *most, *weight, *before;
    int64_t head = 0, first = 0, stride = 0;
    int tokens = 0, rows = 0, first_head = 0, heads = 1;
    bool may_group = true, grouped = false;
};

class Attention : public ggml::cpu::tensor_traits {
  public:
    bool work_size(int threads, const ggml_tensor * op, size_t & size) override {
        const Shape shape(op);
        size = sizeof(float) * (threads * shape.scratch() + 16);
        return true;
    }

    bool compute_forward(ggml_compute_params * params, ggml_tensor * op) override {
        const Shape shape(op);
        Tile tile(op, shape, (float *) (((uintptr_t) params->wdata + 63) / 64 * 64) + params->ith * shape.scratch());
        // Where there are fewer pieces than threads, heads that share a key are divided: each reads it for itself.
        const int64_t whole_pieces = shape.key_heads * shape.tiles;
        const int64_t slices = std::min<int64_t>(shape.rows_each, (params->nth + whole_pieces - 1) / whole_pieces);
        for (int64_t piece = params->ith; piece < whole_pieces * slices; piece += params->nth) {
            const int64_t slice = piece / whole_pieces, rest = piece % whole_pieces;
            const int from = (int) (shape.rows_each * slice / slices), to = (int) (shape.rows_each * (slice + 1) / slices);
            const auto compute = [&](bool together) {
                tile.begin(rest % shape.key_heads, rest / shape.key_heads, from, to, together);
                for (int64_t cell = 0; cell < shape.cells; cell += RANGE) {
                    tile.see(cell, std::min(cell + RANGE, shape.cells));
                }
                return tile.finish();
            };
            compute(true) || compute(false);
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
