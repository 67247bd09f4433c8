// The yardstick: minimal C for spike -> synapse -> accumulator -> neuron, one file per workload,
// with nothing that a simulator needs besides (no probes, counters or event lists).
// Built by c_limit.py: -O3 -march=native -fopenmp; with AVX-512 through intrinsics, elsewhere (or
// with -DPORTABLE) through the vector types of GCC and Clang, which any processor can run.
#pragma once
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
