// W3: sparse, recurrent, leaky.
// Rows are prefetched two spikes ahead: in DRAM that is worth a factor of three.
#include "vectors.h"

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
