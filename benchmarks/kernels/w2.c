// W2: convolutions, no leak.
// Channel-last, kernels flipped, accumulators with a margin: one kernel row of a spike is one
// contiguous add of (kernel width x output channels) values, without edge tests.
#include "vectors.h"

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
