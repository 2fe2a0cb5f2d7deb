// Products of quantised weights with a few tokens, on CPUs with AVX-512 VNNI: Q8_0, Q4_0, Q4_K and Q6_K.
//
// llama.cpp multiplies signed bytes, for which there is no instruction in AVX-512: three or four others take its place, and in a step of one
// token they, and not the memory, are what a core waits for. Here weights are kept unsigned: 16 rows of the matrix side by side, four numbers
// of each in one lane, so that one instruction multiplies 64 of them with four numbers of a token, read from memory into all lanes. What
// that adds to each sum, the offset times the sum of the token's numbers, is known beforehand: sums begin with it taken away.
//
// A buffer type of the CPU backend, as llama.cpp's own repacking is one: weights are laid out anew as a model is loaded, into as many bytes.
// A token's numbers are quantised 32 at a time, as llama.cpp does for Q8_0 and Q4_0; for the other two it takes 256. Each result is the sum of
// the same products in the same order however many tokens or threads there are.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>

#include "formats.h"
#include "ggml-cpu.h"
#include "traits.h"

#ifdef ENSEMBLE_PRODUCTS

#include <sys/mman.h>

namespace {

constexpr int MOST = 12;       // tokens whose sums stay in registers
constexpr int64_t ALONE = 8192;          // so many numbers each thread quantises for itself rather than waiting for others...
constexpr int64_t SMALL = 1024 * 1024;   // ... where the matrix has no more than so many, so that it may be shared out beforehand
constexpr int64_t LEAST = 4;             // panels that a thread takes at a time where there are enough

// 16 rows of ``size`` numbers with COUNT tokens.
template <class Format, int COUNT> void multiply(const uint8_t * panel, const int8_t * numbers, const float * scales, const int32_t * sums, int64_t size, float * to, int64_t stride) {
    const Tokens<COUNT> tokens = {numbers, scales, sums};
    __m512 result[COUNT];
#pragma GCC unroll 12
    for (int t = 0; t < COUNT; t++) {
        result[t] = _mm512_setzero_ps();
    }
    constexpr int bytes = WIDE * Format::BYTES;
    for (int64_t block = 0; block < size / BLOCK; block += Format::NUMBERS / BLOCK, panel += bytes) {
        // Far enough ahead for memory; behind a panel's end the next one begins.
        for (int line = 0; line < bytes; line += 64) {
            _mm_prefetch((const char *) panel + 2048 + line, _MM_HINT_T0);
        }
        Format::template add<COUNT>(panel, tokens, block, result);
    }
#pragma GCC unroll 12
    for (int t = 0; t < COUNT; t++) {
        _mm512_storeu_ps(to + t * stride, result[t]);
    }
}

typedef void (*Multiply)(const uint8_t *, const int8_t *, const float *, const int32_t *, int64_t, float *, int64_t);

struct Way {
    int numbers, bytes;
    void (*lay)(const uint8_t * const * rows, uint8_t * to);
    Multiply multiply[MOST + 1];   // by how many tokens
};

template <class Format> constexpr Way way_of() {
    return {Format::NUMBERS, Format::BYTES, Format::lay,
            {nullptr, multiply<Format, 1>, multiply<Format, 2>, multiply<Format, 3>, multiply<Format, 4>, multiply<Format, 5>, multiply<Format, 6>,
             multiply<Format, 7>, multiply<Format, 8>, multiply<Format, 9>, multiply<Format, 10>, multiply<Format, 11>, multiply<Format, 12>}};
}

const Way * way(ggml_type type) {
    static const Way q8_0 = way_of<Q8_0>(), q4_0 = way_of<Q4_0>(), q4_k = way_of<Q4_K>(), q6_k = way_of<Q6_K>();
    switch (type) {
        case GGML_TYPE_Q8_0: return &q8_0;
        case GGML_TYPE_Q4_0: return &q4_0;
        case GGML_TYPE_Q4_K: return &q4_k;
        case GGML_TYPE_Q6_K: return &q6_k;
        default: return nullptr;
    }
}

// The tokens of one operation, quantised, in ``memory``; in tiles as even as can be.
class Quantised {
  public:
    explicit Quantised(const ggml_tensor * op) : size(op->src[1]->ne[0]), count(ggml_nrows(op->src[1])), tiles((count + MOST - 1) / MOST) {}

    size_t needed() const { return (size_t) count * (size + size / BLOCK * sizeof(float) + size / GROUP * sizeof(int32_t)) + 192; }
    bool alone(const ggml_tensor * op) const { return count * size <= ALONE && size * op->src[0]->ne[1] <= SMALL; }

    void at(void * memory) {
        numbers = (int8_t *) (((uintptr_t) memory + 63) / 64 * 64);
        scales = (float *) (numbers + count * size);
        sums = (int32_t *) (scales + count * (size / BLOCK));
    }

    void fill(const ggml_tensor * from, int64_t first, int64_t step) {
        for (int64_t tile = 0; tile < tiles; tile++) {
            for (int64_t row = begin(tile); row < begin(tile + 1); row++) {
                if (row % step == first) {
                    const int64_t i1 = row % from->ne[1], i2 = row / from->ne[1] % from->ne[2], i3 = row / from->ne[1] / from->ne[2];
                    quantise((const float *) ((const char *) from->data + i1 * from->nb[1] + i2 * from->nb[2] + i3 * from->nb[3]), tile, row - begin(tile));
                }
            }
        }
    }

    void multiply(const Way * way, const uint8_t * panel, float * to, int64_t stride) const {
        for (int64_t tile = 0; tile < tiles; tile++) {
            const int64_t row = begin(tile);
            way->multiply[begin(tile + 1) - row](panel, numbers + row * size, scales + row * (size / BLOCK), sums + row * (size / GROUP), size, to + row * stride, stride);
        }
    }

    const int64_t size, count, tiles;

  private:
    int64_t begin(int64_t tile) const { return count * tile / tiles; }

    void quantise(const float * from, int64_t tile, int64_t token) {
        const int64_t tokens = begin(tile + 1) - begin(tile), before = begin(tile) * (size / BLOCK);
        for (int64_t block = 0; block < size / BLOCK; block++) {
            const int64_t place = before + block * tokens + token;
            const __m512 first = _mm512_loadu_ps(from + BLOCK * block), second = _mm512_loadu_ps(from + BLOCK * block + 16);
            const float most = _mm512_reduce_max_ps(_mm512_max_ps(_mm512_abs_ps(first), _mm512_abs_ps(second)));
            const __m512 inverse = _mm512_set1_ps(most > 0 ? 127 / most : 0);
            const __m512i one = _mm512_cvtps_epi32(_mm512_mul_ps(first, inverse)), two = _mm512_cvtps_epi32(_mm512_mul_ps(second, inverse));
            _mm_storeu_si128((__m128i *) (numbers + BLOCK * place), _mm512_cvtepi32_epi8(one));
            _mm_storeu_si128((__m128i *) (numbers + BLOCK * place + 16), _mm512_cvtepi32_epi8(two));
            // What is no number has no place among bytes, and must not be lost: the run that it spoils has to fail.
            scales[place] = _mm512_cmp_ps_mask(first, second, _CMP_UNORD_Q) ? NAN : most / 127;
            sums[2 * place] = _mm512_reduce_add_epi32(one);
            sums[2 * place + 1] = _mm512_reduce_add_epi32(two);
        }
    }

    int8_t * numbers = nullptr;
    float * scales = nullptr;
    int32_t * sums = nullptr;
};

class Products : public ggml::cpu::tensor_traits {
  public:
    bool work_size(int threads, const ggml_tensor * op, size_t & size) override {
        const Quantised tokens(op);
        size = tokens.needed() * (tokens.alone(op) ? threads : 1);
        return true;
    }

    bool compute_forward(ggml_compute_params * params, ggml_tensor * op) override {
        Quantised tokens(op);
        const Way * format = way(op->src[0]->type);
        const int64_t panels = op->src[0]->ne[1] / WIDE, panel_bytes = tokens.size / format->numbers * format->bytes * WIDE;
        const auto some = [&](int64_t from, int64_t to) {
            for (int64_t panel = from; panel < to; panel++) {
                tokens.multiply(format, (const uint8_t *) op->src[0]->data + panel * panel_bytes, (float *) op->data + panel * WIDE, op->nb[1] / sizeof(float));
            }
        };
        if (tokens.alone(op)) {
            tokens.at((char *) params->wdata + params->ith * tokens.needed());
            tokens.fill(op->src[1], 0, 1);
            some(panels * params->ith / params->nth, panels * (params->ith + 1) / params->nth);
            return true;
        }
        tokens.at(params->wdata);
        tokens.fill(op->src[1], params->ith, params->nth);
        if (params->ith == 0) {
            ggml_threadpool_chunk_set(params->threadpool, params->nth);
        }
        ggml_barrier(params->threadpool);
        // Smaller and smaller pieces: large ones are read from memory faster, and at the end nobody waits long for who was held up.
        const int64_t least = std::max<int64_t>(1, std::min(LEAST, panels / params->nth));
        int64_t piece = 0, begin = 0;
        for (int64_t number = params->ith; begin < panels; number = ggml_threadpool_chunk_add(params->threadpool, 1)) {
            int64_t size = 0;
            for (; piece <= number; piece++) {
                begin += size;
                size = std::max<int64_t>(least, 2 * (panels - begin) / (3 * params->nth));
            }
            some(begin, std::min(panels, begin + size));
            begin += size;
        }
        return true;
    }
};

ggml_backend_buffer_type type = {};

class Weights : public ggml::cpu::extra_buffer_type {
  public:
    bool supports_op(ggml_backend_dev_t, const ggml_tensor * op) override {
        // ``on`` is about where weights are placed; what has been placed here stays.
        if (op->op != GGML_OP_MUL_MAT || (!on && !op->src[0]->data) || !op->src[0]->buffer || op->src[0]->buffer->buft != &type || ggml_n_dims(op->src[0]) != 2) {
            return false;
        }
        const Way * format = way(op->src[0]->type);
        const bool fits = format && op->src[0]->ne[0] % format->numbers == 0 && op->src[0]->ne[1] % WIDE == 0;
        return fits && op->src[1]->type == GGML_TYPE_F32 && (!op->src[1]->buffer || ggml_backend_buft_is_host(op->src[1]->buffer->buft));
    }

    ggml::cpu::tensor_traits * get_tensor_traits(const ggml_tensor * op) override {
        const bool ours = op->op == GGML_OP_MUL_MAT && op->src[0]->buffer && op->src[0]->buffer->buft == &type;
        return ours ? &products : nullptr;
    }

    bool on = false;

  private:
    Products products;
};

Weights weights;

void set_tensor(ggml_backend_buffer_t, ggml_tensor * tensor, const void * data, size_t offset, size_t size) {
    GGML_ASSERT(offset == 0 && size == ggml_nbytes(tensor));
    const Way * format = way(tensor->type);
    const int64_t blocks = tensor->ne[0] / format->numbers, row_bytes = blocks * format->bytes;
    uint8_t * to = (uint8_t *) tensor->data;
    for (int64_t panel = 0; panel < tensor->ne[1] / WIDE; panel++) {
        for (int64_t block = 0; block < blocks; block++) {
            const uint8_t * rows[WIDE];
            for (int row = 0; row < WIDE; row++) {
                rows[row] = (const uint8_t *) data + (panel * WIDE + row) * row_bytes + block * format->bytes;
            }
            format->lay(rows, to);
            to += WIDE * format->bytes;
        }
    }
}

const char * name(ggml_backend_buffer_type_t) { return "ENSEMBLE"; }
size_t alignment(ggml_backend_buffer_type_t) { return 64; }

ggml_backend_buffer_t allocate(ggml_backend_buffer_type_t buft, size_t size) {
    ggml_backend_buffer_t buffer = ggml_backend_buft_alloc_buffer(ggml_backend_cpu_buffer_type(), size);
    if (!buffer) {
        return nullptr;
    }
#if defined(MADV_HUGEPAGE)
    // Every weight is read for every token: fewer pages to look up.
    const uintptr_t page = 2 << 20, base = (uintptr_t) ggml_backend_buffer_get_base(buffer), from = (base + page - 1) / page * page;
    if (from + page <= base + size) {
        madvise((void *) from, (base + size - from) / page * page, MADV_HUGEPAGE);
    }
#endif
    buffer->buft = buft;
    buffer->iface.set_tensor = set_tensor;
    buffer->iface.get_tensor = nullptr;
    buffer->iface.cpy_tensor = nullptr;
    return buffer;
}

}  // namespace

// The buffer type that models loaded from now on find first, with ``on``; null where this processor has no way for it.
extern "C" void * ensemble_products(int on) {
    auto & types = ggml_backend_cpu_get_extra_buffer_types();
    if (!type.context) {
        type.iface.get_name = name;
        type.iface.alloc_buffer = allocate;
        type.iface.get_alignment = alignment;
        type.device = ggml_backend_reg_dev_get(ggml_backend_cpu_reg(), 0);
        type.context = &weights;
        // Before llama.cpp's repacking, behind Intel's matrix unit.
        const auto repacking = std::find_if(types.begin(), types.end(), [](auto each) { return !strcmp(ggml_backend_buft_name(each), "CPU_REPACK"); });
        types.insert(repacking, &type);
    }
    weights.on = on;
    return &type;
}

#else

extern "C" void * ensemble_products(int) { return nullptr; }

#endif
