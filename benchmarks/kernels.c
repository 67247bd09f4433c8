// The yardstick: minimal C for spike -> synapse -> accumulator -> neuron, one function per
// workload, with nothing that a simulator needs besides (no probes, counters or event lists).
// Built by c_limit.py: -O3 -march=native -fopenmp; with AVX-512 through intrinsics, elsewhere (or
// with -DPORTABLE) through the vector types of GCC and Clang, which any processor can run.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef int8_t i8;
typedef int16_t i16;
typedef int32_t i32;
typedef int64_t i64;
typedef uint16_t u16;
typedef uint64_t u64;

#if defined(__AVX512F__) && defined(__AVX512BW__) && !defined(PORTABLE)
#define AVX512 1
#include <immintrin.h>
#else
#define AVX512 0
// Vectors as wide as the processor's: GCC takes wider ones apart by way of memory.
#if defined(__AVX512F__)
#define LANES 16
#elif defined(__AVX2__)
#define LANES 8
#else
#define LANES 4
#endif
typedef i8 bytes __attribute__((vector_size(LANES)));
typedef i8 row_bytes __attribute__((vector_size(2 * LANES)));
typedef i16 shorts __attribute__((vector_size(2 * LANES)));
typedef i16 row_shorts __attribute__((vector_size(4 * LANES)));
typedef i32 ints __attribute__((vector_size(4 * LANES)));

#define LOAD(type, from) ({ type loaded; memcpy(&loaded, from, sizeof loaded); loaded; })
#define STORE(to, value) ({ __typeof__(value) put = (value); memcpy(to, &put, sizeof put); })
// A comparison (0 or -1 per lane) as one byte per lane (0 or 1).
#define STORE_FLAGS(to, compared) STORE(to, __builtin_convertvector(compared, bytes) & 1)
#endif

int uses_avx512(void) { return AVX512; }

#define TILE 64    // columns whose membranes stay in registers (four vectors of 16)
#define FLUSH 256  // int16 sums of that many int8 weights cannot overflow: 256 * 127 < 2^15

// ---------------------------------------------------------------- W1: dense, leaky, tiled
// All steps of all samples for one tile of a layer: weights [n_in][TILE], events of (sample,
// step) k are events[first[k]..first[k + 1]); out: one spike bit per neuron, mask[k * n_tiles].
#if AVX512
#define WIDEN(p) _mm512_cvtepi8_epi16(_mm256_load_si256((const void *)(p)))
#define LOW(x) _mm512_cvtepi16_epi32(_mm512_castsi512_si256(x))
#define HIGH(x) _mm512_cvtepi16_epi32(_mm512_extracti64x4_epi64(x, 1))

static void lif_tile(const i8 *w, int n_samples, int n_steps, const u16 *events, const i64 *first,
                     i32 theta, u64 *mask, int n_tiles) {
  const __m512i threshold = _mm512_set1_epi32(theta), zero = _mm512_setzero_si512();
  for (i64 b = 0; b < n_samples; b++) {
    __m512i v[4] = {zero, zero, zero, zero};
    for (i64 k = b * n_steps; k < (b + 1) * n_steps; k++) {
      __m512i sum[4] = {zero, zero, zero, zero};
      for (i64 p = first[k], q = first[k + 1]; p < q;) {
        const i64 end = p + FLUSH < q ? p + FLUSH : q;
        // two rows per pass into separate sums: shorter dependency chains
        __m512i a0 = zero, a1 = zero, b0 = zero, b1 = zero;
        for (; p + 2 <= end; p += 2) {
          const i8 *x = w + (i64)events[p] * TILE, *y = w + (i64)events[p + 1] * TILE;
          a0 = _mm512_add_epi16(a0, WIDEN(x));
          a1 = _mm512_add_epi16(a1, WIDEN(x + 32));
          b0 = _mm512_add_epi16(b0, WIDEN(y));
          b1 = _mm512_add_epi16(b1, WIDEN(y + 32));
        }
        if (p < end) {
          const i8 *x = w + (i64)events[p++] * TILE;
          a0 = _mm512_add_epi16(a0, WIDEN(x));
          a1 = _mm512_add_epi16(a1, WIDEN(x + 32));
        }
        a0 = _mm512_add_epi16(a0, b0);
        a1 = _mm512_add_epi16(a1, b1);
        sum[0] = _mm512_add_epi32(sum[0], LOW(a0));
        sum[1] = _mm512_add_epi32(sum[1], HIGH(a0));
        sum[2] = _mm512_add_epi32(sum[2], LOW(a1));
        sum[3] = _mm512_add_epi32(sum[3], HIGH(a1));
      }
      u64 spikes = 0;
      for (int g = 0; g < 4; g++) {
        __m512i x = _mm512_sub_epi32(v[g], _mm512_srai_epi32(v[g], 4));
        x = _mm512_add_epi32(x, _mm512_slli_epi32(sum[g], 6));
        const __mmask16 fires = _mm512_cmpge_epi32_mask(x, threshold);
        v[g] = _mm512_maskz_mov_epi32(~fires, x);
        spikes |= (u64)fires << (16 * g);
      }
      mask[k * n_tiles] = spikes;
    }
  }
}
#else
#define ROW_PARTS (TILE / (2 * LANES))
#define PARTS (TILE / LANES)

static void lif_tile(const i8 *w, int n_samples, int n_steps, const u16 *events, const i64 *first,
                     i32 theta, u64 *mask, int n_tiles) {
  for (i64 b = 0; b < n_samples; b++) {
    ints v[PARTS] = {{0}};
    for (i64 k = b * n_steps; k < (b + 1) * n_steps; k++) {
      ints sum[PARTS] = {{0}};
      for (i64 p = first[k], q = first[k + 1]; p < q;) {
        const i64 end = p + FLUSH < q ? p + FLUSH : q;
        row_shorts part[ROW_PARTS] = {{0}};
        for (; p < end; p++) {
          const i8 *row = w + (i64)events[p] * TILE;
          for (int g = 0; g < ROW_PARTS; g++)
            part[g] += __builtin_convertvector(LOAD(row_bytes, row + 2 * LANES * g), row_shorts);
        }
        shorts half[PARTS];
        memcpy(half, part, sizeof half);
        for (int g = 0; g < PARTS; g++) sum[g] += __builtin_convertvector(half[g], ints);
      }
      i8 flags[TILE];
      for (int g = 0; g < PARTS; g++) {
        const ints x = v[g] - (v[g] >> 4) + sum[g] * 64;
        const ints fires = x >= theta;
        v[g] = x & ~fires;
        STORE_FLAGS(flags + LANES * g, fires);
      }
      u64 spikes = 0;
      // the product moves byte i (0 or 1) of a word to bit i of the top byte
      for (int h = 0; h < TILE / 8; h++)
        spikes |= ((LOAD(u64, flags + 8 * h) * 0x0102040810204080ULL) >> 56) << (8 * h);
      mask[k * n_tiles] = spikes;
    }
  }
}
#endif

// The set bits of one step as a list.
static i64 list_bits(const u64 *mask, int n_tiles, u16 *out) {
  i64 n = 0;
  for (int k = 0; k < n_tiles; k++)
    for (u64 x = mask[k]; x; x &= x - 1) out[n++] = (u16)(k * TILE + __builtin_ctzll(x));
  return n;
}

// Layer by layer over `batch` samples at a time; totals[layer] = spikes. Tiles of a layer are
// independent, so threads share them.
void w1_run(const i8 *const *tiles, int n_samples, int batch, int n_steps, const u16 *events,
            const i64 *first, const i32 *theta, i64 *totals, int n_threads) {
  (void)n_threads;  // without OpenMP
  static const int n_in[3] = {784, 1024, 1024}, n_tiles[3] = {16, 16, 1};
  // kept from call to call: fresh pages cost more than the work of one sample
  static i64 capacity;
  static u64 *mask;
  static u16 *spikes[2];
  static i64 *starts[2];
  const i64 most = (i64)batch * n_steps;
  if (most > capacity) {
    capacity = most;
    free(mask);
    mask = aligned_alloc(64, most * 128);
    for (int k = 0; k < 2; k++) {
      free(spikes[k]);
      free(starts[k]);
      spikes[k] = malloc(most * 1024 * sizeof(u16));
      starts[k] = malloc((most + 1) * sizeof(i64));
    }
  }
  totals[0] = totals[1] = totals[2] = 0;
  for (int b = 0; b < n_samples; b += batch) {
    const int here = b + batch <= n_samples ? batch : n_samples - b;
    const i64 rows = (i64)here * n_steps;
    const u16 *in = events;
    const i64 *at = first + (i64)b * n_steps;
    for (int layer = 0; layer < 3; layer++) {
      const int width = n_tiles[layer];
      const i64 tile = (i64)n_in[layer] * TILE;
#pragma omp parallel for num_threads(n_threads) schedule(dynamic) if (n_threads > 1)
      for (int k = 0; k < width; k++)
        lif_tile(tiles[layer] + k * tile, here, n_steps, in, at, theta[layer], mask + k, width);
      u16 *out = spikes[layer & 1];
      i64 *ends = starts[layer & 1];
      ends[0] = 0;
      for (i64 k = 0; k < rows; k++)
        ends[k + 1] = ends[k] + list_bits(mask + k * width, width, out + ends[k]);
      totals[layer] += ends[rows];
      in = out;
      at = ends;
    }
  }
}

// ---------------------------------------------------------------- W2: convolutions, no leak
// Channel-last, kernels flipped, accumulators with a margin: one kernel row of a spike is one
// contiguous add of (kernel width x output channels) values, without edge tests.
static inline void add_row(i16 *acc, const i16 *w, int n) {
  for (int k = 0; k < n; k++) acc[k] += w[k];
}

// v += acc; spike and subtract at theta; list spikes as base + index. n: a multiple of 16.
#if AVX512
static inline int integrate(int n, i32 *v, i16 *acc, i32 theta, u16 *out, int base, int count) {
  const __m512i threshold = _mm512_set1_epi32(theta);
  for (int j = 0; j < n; j += 16) {
    const __m512i in = _mm512_cvtepi16_epi32(_mm256_loadu_si256((void *)(acc + j)));
    const __m512i x = _mm512_add_epi32(_mm512_loadu_si512(v + j), in);
    _mm256_storeu_si256((void *)(acc + j), _mm256_setzero_si256());
    const __mmask16 fires = _mm512_cmpge_epi32_mask(x, threshold);
    _mm512_storeu_si512(v + j, _mm512_mask_sub_epi32(x, fires, x, threshold));
    for (uint32_t m = fires; m; m &= m - 1) out[count++] = (u16)(base + j + __builtin_ctz(m));
  }
  return count;
}
#else
static inline int integrate(int n, i32 *v, i16 *acc, i32 theta, u16 *out, int base, int count) {
  for (int j = 0; j < n; j += 16) {
    i8 flags[16];
    for (int k = 0; k < 16; k += LANES) {
      const ints in = __builtin_convertvector(LOAD(shorts, acc + j + k), ints);
      const ints x = LOAD(ints, v + j + k) + in, fires = x >= theta;
      STORE(v + j + k, x - (fires & theta));
      STORE_FLAGS(flags + k, fires);
    }
    memset(acc + j, 0, 32);
    for (int h = 0; h < 2; h++)
      for (u64 m = LOAD(u64, flags + 8 * h); m; m &= m - 1)
        out[count++] = (u16)(base + j + 8 * h + __builtin_ctzll(m) / 8);
  }
  return count;
}
#endif

// k1 [2][5][5][16] as is (stride 2: tap by tap); k2 [16][3][3][32] and k3 [32][3][3][64] flipped;
// fc [8 * 8 * 64][16]. totals: spikes of the four layers; *synops: synaptic events, edges excluded.
void w2_run(const i16 *k1, const i16 *k2, const i16 *k3, const i16 *fc, int n_samples,
            int n_steps, const u16 *events, const i64 *first, const i32 *theta, i64 *totals,
            i64 *synops, int n_threads) {
  (void)n_threads;  // without OpenMP
  i64 n1 = 0, n2 = 0, n3 = 0, n4 = 0, work = 0;
#pragma omp parallel for num_threads(n_threads) if (n_threads > 1) schedule(dynamic) \
    reduction(+ : n1, n2, n3, n4, work)
  for (int b = 0; b < n_samples; b++) {
    i16 *a1 = aligned_alloc(64, 16 * 16 * 16 * 2), *a2 = aligned_alloc(64, 18 * 18 * 32 * 2);
    i16 *a3 = aligned_alloc(64, 10 * 10 * 64 * 2), a4[16] = {0};
    i32 *v1 = aligned_alloc(64, 4096 * 4), *v2 = aligned_alloc(64, 8192 * 4);
    i32 *v3 = aligned_alloc(64, 4096 * 4), v4[16] = {0};
    u16 s1[4096], s2[8192], s3[4096], s4[16];
    memset(a1, 0, 16 * 16 * 16 * 2);
    memset(a2, 0, 18 * 18 * 32 * 2);
    memset(a3, 0, 10 * 10 * 64 * 2);
    memset(v1, 0, 4096 * 4);
    memset(v2, 0, 8192 * 4);
    memset(v3, 0, 4096 * 4);
    for (i64 row = (i64)b * n_steps; row < (i64)(b + 1) * n_steps; row++) {
      for (i64 p = first[row]; p < first[row + 1]; p++) {
        const int i = events[p], c = i / 1156, y = (i % 1156) / 34 + 1, x = i % 34 + 1;
        for (int ky = y & 1; ky < 5 && ky <= y; ky += 2) {
          const int oy = (y - ky) / 2;
          if (oy > 15) continue;
          for (int kx = x & 1; kx < 5 && kx <= x; kx += 2) {
            const int ox = (x - kx) / 2;
            if (ox > 15) continue;
            add_row(a1 + (oy * 16 + ox) * 16, k1 + ((c * 5 + ky) * 5 + kx) * 16, 16);
            work += 16;
          }
        }
      }
      const int f1 = integrate(4096, v1, a1, theta[0], s1, 0, 0);
      for (int p = 0; p < f1; p++) {
        const int i = s1[p], c = i & 15, x = (i >> 4) & 15, y = i >> 8;
        const i16 *k = k2 + c * 9 * 32;
        i16 *a = a2 + (y * 18 + x) * 32;
        add_row(a, k, 96);
        add_row(a + 18 * 32, k + 96, 96);
        add_row(a + 36 * 32, k + 192, 96);
        work += 32 * (3 - (y == 0) - (y == 15)) * (3 - (x == 0) - (x == 15));
      }
      int f2 = 0;
      for (int y = 0; y < 16; y++)
        f2 = integrate(512, v2 + y * 512, a2 + ((y + 1) * 18 + 1) * 32, theta[1], s2, y * 512, f2);
      for (int p = 0; p < f2; p++) {  // the sum pool halves the coordinates
        const int i = s2[p], c = i & 31, x = ((i >> 5) & 15) >> 1, y = (i >> 9) >> 1;
        const i16 *k = k3 + c * 9 * 64;
        i16 *a = a3 + (y * 10 + x) * 64;
        add_row(a, k, 192);
        add_row(a + 10 * 64, k + 192, 192);
        add_row(a + 20 * 64, k + 384, 192);
        work += 64 * (3 - (y == 0) - (y == 7)) * (3 - (x == 0) - (x == 7));
      }
      int f3 = 0;
      for (int y = 0; y < 8; y++)
        f3 = integrate(512, v3 + y * 512, a3 + ((y + 1) * 10 + 1) * 64, theta[2], s3, y * 512, f3);
      for (int p = 0; p < f3; p++) add_row(a4, fc + (i64)s3[p] * 16, 16);
      work += 10 * f3;
      const int f4 = integrate(16, v4, a4, theta[3], s4, 0, 0);
      n1 += f1;
      n2 += f2;
      n3 += f3;
      n4 += f4;
    }
    free(a1);
    free(a2);
    free(a3);
    free(v1);
    free(v2);
    free(v3);
  }
  totals[0] = n1;
  totals[1] = n2;
  totals[2] = n3;
  totals[3] = n4;
  *synops = work;
}

// ---------------------------------------------------------------- W3: sparse, recurrent, leaky
// Rows are prefetched two spikes ahead: in DRAM that is worth a factor of three.
static void add_sparse(const u16 *restrict targets, const i8 *restrict w, i64 fan,
                       const i32 *restrict spikes, i64 n_spikes, i32 *restrict acc) {
  for (i64 s = 0; s < n_spikes; s++) {
    const u16 *t = targets + spikes[s] * fan;
    const i8 *x = w + spikes[s] * fan;
    if (s + 2 < n_spikes) {
      const char *next_t = (const char *)(targets + spikes[s + 2] * fan);
      const char *next_x = (const char *)(w + spikes[s + 2] * fan);
      for (i64 o = 0; o < fan * 2; o += 64) __builtin_prefetch(next_t + o);
      for (i64 o = 0; o < fan; o += 64) __builtin_prefetch(next_x + o);
    }
    for (i64 k = 0; k < fan; k += 4) {
      acc[t[k]] += x[k];
      acc[t[k + 1]] += x[k + 1];
      acc[t[k + 2]] += x[k + 2];
      acc[t[k + 3]] += x[k + 3];
    }
  }
}

// n: a multiple of 16; out has room for n + 16.
#if AVX512
static i64 leak(i64 n, i32 *restrict v, i32 *restrict acc, const i32 *restrict bias, i32 theta,
                i32 *restrict out) {
  const __m512i threshold = _mm512_set1_epi32(theta), zero = _mm512_setzero_si512();
  const __m512i lane = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  i64 count = 0;
  for (i64 j = 0; j < n; j += 16) {
    __m512i x = _mm512_loadu_si512(v + j);
    x = _mm512_sub_epi32(x, _mm512_srai_epi32(x, 4));
    x = _mm512_add_epi32(x, _mm512_slli_epi32(_mm512_loadu_si512(acc + j), 6));
    x = _mm512_add_epi32(x, _mm512_loadu_si512(bias + j));
    const __mmask16 fires = _mm512_cmpge_epi32_mask(x, threshold);
    _mm512_storeu_si512(v + j, _mm512_maskz_mov_epi32(~fires, x));
    _mm512_storeu_si512(acc + j, zero);
    const __m512i index = _mm512_add_epi32(_mm512_set1_epi32((i32)j), lane);
    // a full store of the packed lanes is faster than a masked one, hence the room behind out
    _mm512_storeu_si512(out + count, _mm512_maskz_compress_epi32(fires, index));
    count += __builtin_popcount(fires);
  }
  return count;
}
#else
static i64 leak(i64 n, i32 *restrict v, i32 *restrict acc, const i32 *restrict bias, i32 theta,
                i32 *restrict out) {
  i64 count = 0;
  for (i64 j = 0; j < n; j += 16) {
    i8 flags[16];
    for (int k = 0; k < 16; k += LANES) {
      const ints old = LOAD(ints, v + j + k), in = LOAD(ints, acc + j + k);
      const ints x = old - (old >> 4) + in * 64 + LOAD(ints, bias + j + k), fires = x >= theta;
      STORE(v + j + k, x & ~fires);
      STORE_FLAGS(flags + k, fires);
    }
    memset(acc + j, 0, 64);
    for (int h = 0; h < 2; h++)
      for (u64 m = LOAD(u64, flags + 8 * h); m; m &= m - 1)
        out[count++] = (i32)(j + 8 * h + __builtin_ctzll(m) / 8);
  }
  return count;
}
#endif

// totals: all spikes, and those of the last step, which nothing receives any more.
void w3_run(const u16 *targets, const i8 *w, i64 n, i64 fan, int n_samples, int n_steps,
            const i32 *bias, i32 theta, i64 *totals) {
  i32 *v = aligned_alloc(64, n * 4), *acc = aligned_alloc(64, n * 4);
  i32 *spikes = aligned_alloc(64, n * 4 + 64);
  totals[0] = totals[1] = 0;
  for (int b = 0; b < n_samples; b++) {
    i64 n_spikes = 0;
    memset(v, 0, n * 4);
    memset(acc, 0, n * 4);
    for (int t = 0; t < n_steps; t++) {
      add_sparse(targets, w, fan, spikes, n_spikes, acc);
      n_spikes = leak(n, v, acc, bias, theta, spikes);
      totals[0] += n_spikes;
    }
    totals[1] += n_spikes;
  }
  free(v);
  free(acc);
  free(spikes);
}
