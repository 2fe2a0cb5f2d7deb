// Attention for one head of keys and some neighbouring tokens, as ``attention.cpp`` takes it from the operation.
//
// The cells that the tokens see are gathered some at a time, for all of them and all heads that share the key. A row is one head of one token. Where several
// tokens are computed together, a vector holds as many rows as it has lanes. One token alone has too few for that: each of its rows gets SPLIT lanes then, and each
// lane sums a part of the key's dimensions. Both sum a score in the same order, so that it is the same to the bit.

#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>

#include "ggml.h"
#include "loops.h"

#ifdef ENSEMBLE_VECTORS

namespace {

constexpr int CHUNK = 64;        // cells taken at a time; half as many for one token, so that they and the next ones fit in the first-level cache
constexpr int RANGE = 1024;      // cells whose mask is looked at together
constexpr int WORDS = RANGE / 64;
constexpr int TILE_ROWS = 64;    // rows computed together; more only where one token has more

inline int padded(int count) { return (count + LANES - 1) / LANES * LANES; }

struct Shape {
    int64_t key_size, value_size, tokens, heads, key_heads, cells;
    int rows_each;    // heads of a token that share a key
    int split;        // lanes of a row where a token is alone
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
        // It decides in which order a score is summed, so it may depend on nothing but the model.
        for (split = MOST_SPLIT; split > 1 && split * rows_each > LANES;) {
            split /= 2;
        }
        tile_tokens = std::max(1, TILE_ROWS / rows_each);
        tiles = (tokens + tile_tokens - 1) / tile_tokens;
    }

    int tile_rows() const { return tile_tokens * rows_each; }
    // A thread's memory, in floats.
    size_t queries() const { return (size_t) key_size * (padded(tile_rows()) + LANES); }
    size_t alone() const { return (size_t) key_size / split * LANES; }
    size_t keys() const { return (size_t) CHUNK * key_size; }
    size_t values() const { return (size_t) CHUNK * value_size; }
    size_t scores() const { return (size_t) CHUNK * padded(tile_rows()); }
    size_t sums() const { return (size_t) tile_rows() * value_size; }
    size_t rows() const { return padded(tile_rows()) + LANES; }
    size_t scratch() const { return (queries() + alone() + keys() + values() + scores() + sums() + 3 * rows() + 15) / 16 * 16; }
};

// Bit i is set where cell i is seen.
inline void look(const ggml_fp16_t * mask, int64_t cells, uint64_t * words) {
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

inline int count(const uint64_t * words) {
    int sum = 0;
    for (int i = 0; i < WORDS; i++) {
        sum += __builtin_popcountll(words[i]);
    }
    return sum;
}

// One head of keys and a tile of tokens: its memory, and what it has seen. SPLIT: the shape's.
template <int SPLIT> class Tile {
  public:
    Tile(const ggml_tensor * op, const Shape & shape, float * scratch) : op(op), shape(shape) {
        queries = scratch;
        alone = queries + shape.queries();
        keys = alone + shape.alone();
        values = keys + shape.keys();
        scores = values + shape.values();
        sums = scores + shape.scores();
        most = sums + shape.sums();
        weight = most + shape.rows();
        before = weight + shape.rows();
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
    static constexpr int ALONE = 2 * KEYS;
    static constexpr int MANY = SPLIT > 2 ? KEYS / 2 : KEYS;
    static constexpr int ROWS = LANES / SPLIT;  // of a token that is alone, in a vector

    int64_t token(int row) const { return first + row / heads; }
    int64_t query_head(int row) const { return head * shape.rows_each + first_head + row % heads; }

    // The cells of ``together`` for the tokens [from, to).
    void take(int from, int to, int64_t begin, const uint64_t * together, int size, const uint64_t (*seen)[WORDS], const int * counts) {
        const ggml_tensor *k = op->src[1], *v = op->src[2];
        int32_t cells[RANGE + CHUNK];
        int length = 0;
        for (int word = 0; word < WORDS; word++) {
            for (uint64_t bits = together[word]; bits; bits &= bits - 1) {
                cells[length++] = 64 * word + __builtin_ctzll(bits);
            }
        }
        const int row = from * heads, count = (to - from) * heads;
        const bool single = SPLIT > 1 && to - from == 1;
        const int chunk = single ? CHUNK / 2 : CHUNK;
        const int64_t score_stride = single ? ROWS : padded(count);
        if (single) {
            stand_alone(row);
        }
        const char *first_key = (const char *) k->data + begin * k->nb[1] + head * k->nb[2], *first_value = (const char *) v->data + begin * v->nb[1] + head * v->nb[2];
        // Behind the last one its neighbours are the likeliest to be looked at next.
        for (; length < size + chunk; length++) {
            cells[length] = (int32_t) std::min<int64_t>(cells[length - 1] + 1, shape.cells - 1 - begin);
        }
        Cells some_keys = {first_key, cells, k->nb[1], ggml_row_size(k->type, shape.key_size)};
        Cells some_values = {first_value, cells, v->nb[1], ggml_row_size(v->type, shape.value_size)};
        for (int at = 0; at < size; at += chunk) {
            const int here = std::min(chunk, size - at);
            // The next ones come from memory while these are computed with.
            Cells next_keys = some_keys, next_values = some_values;
            some_keys.cells = some_values.cells = cells + at;
            next_keys.cells = next_values.cells = cells + std::min(at + chunk, size);
            gather(some_keys, k->type, here, shape.key_size, keys);
            switch (shape.key_size) {
                case 64: score<64>(single, row, count, chunk, score_stride, next_keys); break;
                case 128: score<128>(single, row, count, chunk, score_stride, next_keys); break;
                default: score<0>(single, row, count, chunk, score_stride, next_keys); break;
            }
            std::fill(scores + here * score_stride, scores + chunk * score_stride, -INFINITY);
            for (int token = from; token < to; token++) {
                if (counts[token] != size) {
                    hide(seen[token], cells + at, here, scores + (token - from) * heads, score_stride);
                }
            }
            if (single) {
                soften<ROWS>(row, count, chunk, score_stride);
            } else {
                soften<LANES>(row, count, chunk, score_stride);
            }
            if (single && v->type == GGML_TYPE_F16) {
                add(row, count, here, score_stride, Halves{some_values}, next_values);
            } else {
                gather(some_values, v->type, here, shape.value_size, values);
                add(row, count, here, score_stride, Widened{values, shape.value_size}, next_values);
            }
        }
    }

    static void gather(const Cells & some, ggml_type type, int here, int64_t size, float * to) {
        for (int i = 0; i < here; i++) {
            switch (size) {
                case 64: widen<64>(some.at(i), type, size, to + i * size); break;
                case 128: widen<128>(some.at(i), type, size, to + i * size); break;
                default: widen<0>(some.at(i), type, size, to + i * size); break;
            }
        }
    }

    // The queries of the token that begins with ``row``, for ``multiply_keys_alone``.
    void stand_alone(int row) {
        std::fill(alone, alone + shape.alone(), 0.0f);
        for (int64_t d = 0; d < shape.key_size; d++) {
            for (int each = 0; each < heads; each++) {
                alone[d / SPLIT * LANES + each * SPLIT + d % SPLIT] = queries[d * stride + row + each];
            }
        }
    }

    template <int SIZE> void score(bool single, int row, int count, int chunk, int64_t score_stride, const Cells & next) {
        const int vectors = padded(count) / LANES;
        for (int at = 0; at < vectors; at += 2) {
            const int step = single ? ALONE : MANY;
            for (int key = 0; key < chunk; key += step) {
                for (int i = key; !at && i < key + step; i++) {
                    next.fetch(i);
                }
                const float *query = queries + row + at * LANES, *some = keys + key * shape.key_size;
                float * to = scores + key * score_stride + at * LANES;
                if (single) {
                    multiply_keys_alone<SPLIT, ALONE, SIZE>(alone, some, shape.key_size, to);
                } else if (at + 1 < vectors) {
                    multiply_keys<SPLIT, MANY, 2, SIZE>(query, stride, some, shape.key_size, to, score_stride);
                } else {
                    multiply_keys<SPLIT, MANY, 1, SIZE>(query, stride, some, shape.key_size, to, score_stride);
                }
            }
        }
    }

    void hide(const uint64_t * seen, const int32_t * cells, int here, float * from, int64_t score_stride) {
        for (int i = 0; i < here; i++) {
            if (!(seen[cells[i] / 64] >> (cells[i] % 64) & 1)) {
                std::fill(from + i * score_stride, from + i * score_stride + heads, -INFINITY);
            }
        }
    }

    // Scores become weights; what was summed before is put right where a larger score has come. All in the order of the cells, and a cell that is not seen adds
    // nothing: a row's sums are the same whoever is computed with it. Rows beyond ``count`` are computed along and mean nothing. WIDTH: how many rows a key has in a
    // vector, which are all that it has where they are fewer than lanes.
    template <int WIDTH> void soften(int row, int count, int chunk, int64_t score_stride) {
        typedef typename Some<WIDTH>::type Rows;
        constexpr int TOGETHER = LANES / WIDTH;
        for (int64_t at = 0; at < count; at += WIDTH) {
            // Where nothing has been seen the largest score is minus infinity: the level is not.
            Vector largest = all(-4000000.0f);
            for (int key = 0; key < chunk; key += TOGETHER) {
                largest = larger(largest, load(scores + key * score_stride + at));
            }
            float lanes[LANES];
            store(lanes, largest);
            for (int lane = WIDTH; lane < LANES; lane++) {
                lanes[lane % WIDTH] = std::max(lanes[lane % WIDTH], lanes[lane]);
            }
            Whole bits;
            const Vector old = repeated<WIDTH>(most + row + at), level = larger(old, whole(repeated<WIDTH>(lanes), bits) + 1.0f), kept = power(old, level);
            for (int key = 0; key < chunk; key += TOGETHER) {
                float * score = scores + key * score_stride + at;
                store(score, power(load(score), level));
            }
            store(lanes, kept);
            Rows sum = load<Rows>(weight + row + at) * load<Rows>(lanes);
            for (int key = 0; key < chunk; key++) {
                sum += load<Rows>(scores + key * score_stride + at);
            }
            const int here = (int) std::min<int64_t>(WIDTH, count - at);
            memcpy(before + at, lanes, here * sizeof(float));
            store(lanes, level);
            memcpy(most + row + at, lanes, here * sizeof(float));
            memcpy(weight + row + at, &sum, here * sizeof(float));
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

    template <class Values> void add(int row, int count, int here, int64_t score_stride, const Values & values, const Cells & next) {
        const int blocks = (count + MOST_ROWS - 1) / MOST_ROWS;
        for (int block = 0; block < blocks; block++) {
            const int from = count * block / blocks, some = count * (block + 1) / blocks - from;
            float * sum = sums + (row + from) * shape.value_size;
            int64_t d = 0;
            for (; d + DEEP * LANES <= shape.value_size; d += DEEP * LANES) {
                add_values<DEEP>(some, here, scores + from, score_stride, values, d, shape.value_size, sum, block || d ? nullptr : &next);
            }
            for (; d < shape.value_size; d += LANES) {
                add_values<1>(some, here, scores + from, score_stride, values, d, shape.value_size, sum, nullptr);
            }
        }
    }

    const ggml_tensor * op;
    const Shape & shape;
    float *queries, *alone, *keys, *values, *scores, *sums, *most, *weight, *before;
    int64_t head = 0, first = 0, stride = 0;
    int tokens = 0, rows = 0, first_head = 0, heads = 1;
    bool may_group = true, grouped = false;
};

}  // namespace

#endif
