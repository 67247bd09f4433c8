// W1: dense, leaky, tiled.
#include "vectors.h"

int uses_avx512(void) { return AVX512; }

#define TILE 64    // columns whose membranes stay in registers (four vectors of 16)
#define FLUSH 256  // int16 sums of that many int8 weights cannot overflow: 256 * 127 < 2^15

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
