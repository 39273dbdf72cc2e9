// SIMD packets. All arithmetic of the kernels is written with Pack<S>, one register of floats or doubles. Only this
// file uses Eigen's internals and SIMD intrinsics.
#pragma once

#if !defined(FUSEDLSTM_NO_PACKETS)
#include <Eigen/Core>
#endif
#include <cstddef>
#include <cstdint>
#include <cstring>

#if defined(__SSE2__) || defined(_M_X64)
#include <immintrin.h>
#define FUSEDLSTM_X86 1
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

#if defined(_MSC_VER) && !defined(__clang__)
#define FUSEDLSTM_INLINE __forceinline
#define FUSEDLSTM_LAMBDA_INLINE
#define FUSEDLSTM_UNROLL
#else
#define FUSEDLSTM_INLINE inline __attribute__((always_inline))
#define FUSEDLSTM_LAMBDA_INLINE __attribute__((always_inline))
#if defined(__clang__)
#define FUSEDLSTM_UNROLL _Pragma("clang loop unroll(full)")
#else
#define FUSEDLSTM_UNROLL _Pragma("GCC unroll 32")
#endif
#endif

// For functions that run at most once per call: small code matters more than speed.
#if defined(__GNUC__)
#define FUSEDLSTM_COLD __attribute__((cold, noinline))
#else
#define FUSEDLSTM_COLD
#endif

namespace fusedlstm {

using Index = std::ptrdiff_t;

// The numbers of a cache line.
template <class S>
inline constexpr Index line_size = Index(64 / sizeof(S));

template <class S>
constexpr bool is_nan(S value) {
  return value != value;  // NOLINT(misc-redundant-expression)
}

#if defined(__AVX512F__) || defined(__aarch64__)
inline constexpr int vector_registers = 32;
#else
inline constexpr int vector_registers = 16;
#endif

// The instruction set has distance_to_integer and times_exp2.
#if defined(__AVX512F__) && defined(__AVX512DQ__)
inline constexpr bool has_exp2_instructions = true;
#else
inline constexpr bool has_exp2_instructions = false;
#endif

// For a loop that waits for another thread.
inline void pause_briefly() {
#if defined(FUSEDLSTM_X86)
  _mm_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// Starts to read a cache line. The address need not be valid. GCC removes calls that it does not inline early.
FUSEDLSTM_INLINE void prefetch_to_l2(const void* address) {
#if defined(__GNUC__)
  __builtin_prefetch(address, 0, 2);
#elif defined(FUSEDLSTM_X86)
  _mm_prefetch(static_cast<const char*>(address), _MM_HINT_T1);
#else
  (void)address;
#endif
}

#if defined(FUSEDLSTM_NO_PACKETS)

// The bindings are compiled once for all variants and must not depend on the size of a packet. They may declare
// templates that use packets, but not instantiate them.
template <class S>
struct Pack {
  static_assert(sizeof(S) == 0,
                "packets must not be used here: declare the function, and instantiate it in layers.cpp");
  static constexpr int size = 0;
};
template <class S>
inline constexpr int pack_size = Pack<S>::size;
template <class S>
struct Square;
template <class S>
Pack<S> zero();
template <int Bits, class Packet>
Packet shift_left(Packet);

#else

// One register of S, the widest that the instruction set has.
template <class S>
struct Pack {
  using Raw = typename Eigen::internal::packet_traits<S>::type;
  static constexpr int size = Eigen::internal::unpacket_traits<Raw>::size;
  Raw raw;
};

template <class S>
inline constexpr int pack_size = Pack<S>::size;

template <class S>
FUSEDLSTM_INLINE Pack<S> load(const S* from) {
  return {Eigen::internal::ploadu<typename Pack<S>::Raw>(from)};
}
template <class S>
FUSEDLSTM_INLINE void store(S* to, Pack<S> a) {
  Eigen::internal::pstoreu<S, typename Pack<S>::Raw>(to, a.raw);
}
template <class S>
FUSEDLSTM_INLINE Pack<S> fill(S value) {
  return {Eigen::internal::pset1<typename Pack<S>::Raw>(value)};
}
template <class S>
FUSEDLSTM_INLINE Pack<S> zero() {
  return fill(S(0));
}

template <class S>
FUSEDLSTM_INLINE Pack<S> operator+(Pack<S> a, Pack<S> b) {
  return {Eigen::internal::padd(a.raw, b.raw)};
}
template <class S>
FUSEDLSTM_INLINE Pack<S> operator-(Pack<S> a, Pack<S> b) {
  return {Eigen::internal::psub(a.raw, b.raw)};
}
template <class S>
FUSEDLSTM_INLINE Pack<S> operator*(Pack<S> a, Pack<S> b) {
  return {Eigen::internal::pmul(a.raw, b.raw)};
}
template <class S>
FUSEDLSTM_INLINE Pack<S> operator/(Pack<S> a, Pack<S> b) {
  return {Eigen::internal::pdiv(a.raw, b.raw)};
}
// a b + c, rounded once if the instruction set has such an instruction. The build switches off the contraction by the
// compiler, so that the same line gives the same bits in every tile.
template <class S>
FUSEDLSTM_INLINE Pack<S> fma(Pack<S> a, Pack<S> b, Pack<S> c) {
  return {Eigen::internal::pmadd(a.raw, b.raw, c.raw)};
}
template <class S>
FUSEDLSTM_INLINE Pack<S> sqrt(Pack<S> a) {
  return {Eigen::internal::psqrt(a.raw)};
}
// Between low and high. NaN stays NaN: Eigen's pmin and pmax return their first argument if it is NaN.
template <class S>
FUSEDLSTM_INLINE Pack<S> clamp(Pack<S> a, Pack<S> low, Pack<S> high) {
  return {Eigen::internal::pmax(Eigen::internal::pmin(a.raw, high.raw), low.raw)};
}
// min(a, b) and max(a, b). NaN in a stays NaN.
template <class S>
FUSEDLSTM_INLINE Pack<S> min(Pack<S> a, Pack<S> b) {
  return {Eigen::internal::pmin(a.raw, b.raw)};
}
template <class S>
FUSEDLSTM_INLINE Pack<S> max(Pack<S> a, Pack<S> b) {
  return {Eigen::internal::pmax(a.raw, b.raw)};
}
// max(a, 0). NaN stays NaN.
template <class S>
FUSEDLSTM_INLINE Pack<S> relu(Pack<S> a) {
  return {Eigen::internal::pmax(a.raw, zero<S>().raw)};
}
// b in the lanes where a > 0, zero in the other lanes.
template <class S>
FUSEDLSTM_INLINE Pack<S> where_positive(Pack<S> a, Pack<S> b) {
  return {Eigen::internal::pand(Eigen::internal::pcmp_lt(zero<S>().raw, a.raw), b.raw)};
}
template <class S>
FUSEDLSTM_INLINE S sum(Pack<S> a) {
  return Eigen::internal::predux(a.raw);
}

// The bit patterns of a, shifted left by Bits: turns the low bits of an integer into a floating-point exponent.
template <int Bits>
FUSEDLSTM_INLINE Pack<float> shift_left(Pack<float> a) {
  if constexpr (pack_size<float> == 1) {
    std::uint32_t bits;
    std::memcpy(&bits, &a.raw, sizeof bits);
    bits <<= Bits;
    std::memcpy(&a.raw, &bits, sizeof bits);
    return a;
  } else {
    using Raw = Pack<float>::Raw;
    using Integers = typename Eigen::internal::unpacket_traits<Raw>::integer_packet;
    return {Eigen::internal::preinterpret<Raw>(
        Eigen::internal::plogical_shift_left<Bits>(Eigen::internal::preinterpret<Integers>(a.raw)))};
  }
}
template <int Bits>
FUSEDLSTM_INLINE Pack<double> shift_left(Pack<double> a) {
#if defined(__AVX512F__)
  return {_mm512_castsi512_pd(_mm512_slli_epi64(_mm512_castpd_si512(a.raw), Bits))};
#elif defined(__AVX2__)
  return {_mm256_castsi256_pd(_mm256_slli_epi64(_mm256_castpd_si256(a.raw), Bits))};
#elif defined(FUSEDLSTM_X86)
  return {_mm_castsi128_pd(_mm_slli_epi64(_mm_castpd_si128(a.raw), Bits))};
#elif defined(__aarch64__)
  return {vreinterpretq_f64_s64(vshlq_n_s64(vreinterpretq_s64_f64(a.raw), Bits))};
#else
  std::uint64_t bits;
  std::memcpy(&bits, &a.raw, sizeof bits);
  bits <<= Bits;
  std::memcpy(&a.raw, &bits, sizeof bits);
  return a;
#endif
}

// Instructions for 2^z: the distance to the nearest integer (0 for infinities), and a * 2^n for an integer n. A result
// too small for a number is 0.
#if defined(__AVX512F__) && defined(__AVX512DQ__)
FUSEDLSTM_INLINE Pack<float> distance_to_integer(Pack<float> a) { return {_mm512_reduce_ps(a.raw, 0)}; }
FUSEDLSTM_INLINE Pack<double> distance_to_integer(Pack<double> a) { return {_mm512_reduce_pd(a.raw, 0)}; }
FUSEDLSTM_INLINE Pack<float> times_exp2(Pack<float> a, Pack<float> n) { return {_mm512_scalef_ps(a.raw, n.raw)}; }
FUSEDLSTM_INLINE Pack<double> times_exp2(Pack<double> a, Pack<double> n) { return {_mm512_scalef_pd(a.raw, n.raw)}; }
#endif

// Keeps a loaded packet in a register. Otherwise GCC would fold the load into each multiplication that uses the packet,
// and with few rows the load port would become the limit. Compilers without such a statement (MSVC) lose only speed.
template <class S>
FUSEDLSTM_INLINE void keep_in_register(Pack<S>& a) {
#if defined(__GNUC__) && defined(__AVX512F__)
  __asm__("" : "+v"(a.raw));
#elif defined(__GNUC__) && defined(__SSE2__)
  __asm__("" : "+x"(a.raw));
#elif defined(__GNUC__) && defined(__aarch64__)
  __asm__("" : "+w"(a.raw));
#else
  (void)a;
#endif
}

// The first n lanes of a packet, 0 < n < pack_size.
namespace detail {

// Copies n numbers in at most one piece per power of two: masked stores are slow on some CPUs.
template <class S, int Piece = pack_size<S> / 2>
FUSEDLSTM_INLINE void copy_pieces(const S* from, Index n, S* to) {
  if constexpr (Piece > 0) {
    if (n & Piece) {
      std::memcpy(to, from, Piece * sizeof(S));
      from += Piece;
      to += Piece;
    }
    copy_pieces<S, Piece / 2>(from, n, to);
  }
}
template <class S>
FUSEDLSTM_INLINE void store_some(S* to, Pack<S> a, Index n) {
  alignas(64) S lanes[pack_size<S>];
  store(lanes, a);
  copy_pieces(lanes, n, to);
}

#if defined(__AVX512F__)
inline Pack<float> load_some(const float* from, Index n) {
  return {_mm512_maskz_loadu_ps(static_cast<__mmask16>((1u << n) - 1), from)};
}
inline Pack<double> load_some(const double* from, Index n) {
  return {_mm512_maskz_loadu_pd(static_cast<__mmask8>((1u << n) - 1), from)};
}
#elif defined(__AVX2__)
alignas(32) inline constexpr std::int32_t lanes_on_then_off[16] = {-1, -1, -1, -1, -1, -1, -1, -1};
inline __m256i first_lanes(Index words) {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(lanes_on_then_off + 8 - words));
}
inline Pack<float> load_some(const float* from, Index n) { return {_mm256_maskload_ps(from, first_lanes(n))}; }
inline Pack<double> load_some(const double* from, Index n) { return {_mm256_maskload_pd(from, first_lanes(2 * n))}; }
#else
template <class S>
Pack<S> load_some(const S* from, Index n) {
  alignas(64) S lanes[pack_size<S>] = {};
  copy_pieces(from, n, lanes);
  return load(lanes);
}
#endif

}  // namespace detail

// Loads or stores the first n lanes, and touches no memory beyond n numbers. The other lanes of a loaded packet are
// zero.
template <class S>
FUSEDLSTM_INLINE Pack<S> load_first(const S* from, Index n) {
  return n >= pack_size<S> ? load(from) : detail::load_some(from, n);
}
template <class S>
FUSEDLSTM_INLINE void store_first(S* to, Pack<S> a, Index n) {
  if (n >= pack_size<S>) store(to, a);
  else detail::store_some(to, a, n);
}

// Copies n numbers. Short copies are inline.
template <class S>
FUSEDLSTM_INLINE void copy(const S* from, Index n, S* to) {
  Index k = 0;
  for (; k + pack_size<S> <= n; k += pack_size<S>) store(to + k, load(from + k));
  detail::copy_pieces(from + k, n - k, to + k);
}

// A square of pack_size x pack_size numbers. transpose exchanges [i][j] and [j][i].
template <class S>
struct Square {
  Pack<S> rows[pack_size<S>];
};
template <class S>
FUSEDLSTM_INLINE void transpose(Square<S>& square) {
  constexpr int size = pack_size<S>;
  if constexpr (size > 1) {
    Eigen::internal::PacketBlock<typename Pack<S>::Raw, size> block;
    FUSEDLSTM_UNROLL
    for (int i = 0; i < size; i++) block.packet[i] = square.rows[i].raw;
    Eigen::internal::ptranspose(block);
    FUSEDLSTM_UNROLL
    for (int i = 0; i < size; i++) square.rows[i].raw = block.packet[i];
  }
}

#endif  // FUSEDLSTM_NO_PACKETS

// During the life of this object, its thread rounds subnormal results to zero and reads subnormal inputs as zero.
// Subnormal numbers can make a computation ten times slower. The destructor restores the setting of the thread.
class FlushSubnormals {
 public:
#if defined(FUSEDLSTM_X86)
  FlushSubnormals() : saved_(_mm_getcsr()) { _mm_setcsr(saved_ | 0x8040u); }
  ~FlushSubnormals() { _mm_setcsr(saved_); }

 private:
  unsigned saved_;
#elif defined(__aarch64__) && defined(__GNUC__)
  FlushSubnormals() {
    __asm__ volatile("mrs %0, fpcr" : "=r"(saved_));
    const std::uint64_t flushing = saved_ | (std::uint64_t(1) << 24);
    __asm__ volatile("msr fpcr, %0" ::"r"(flushing));
  }
  ~FlushSubnormals() { __asm__ volatile("msr fpcr, %0" ::"r"(saved_)); }

 private:
  std::uint64_t saved_;
#else
 public:
  FlushSubnormals() {}
  ~FlushSubnormals() {}
#endif
  FlushSubnormals(const FlushSubnormals&) = delete;
  FlushSubnormals& operator=(const FlushSubnormals&) = delete;
};

}  // namespace fusedlstm
