// The variants that this CPU and operating system can run. Compiled with the bindings, for the baseline, so that the
// check runs on every CPU.
#pragma once

#include <string>
#include <vector>

#if defined(__x86_64__) && defined(__GNUC__)
#include <cpuid.h>
#elif defined(_M_X64)
#include <intrin.h>
#endif

namespace fusedlstm {

#if defined(__x86_64__) || defined(_M_X64)

struct CpuidLeaf {
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
};
inline CpuidLeaf cpuid_leaf(unsigned leaf) {
  CpuidLeaf out;
#if defined(_M_X64) && !defined(__GNUC__)
  int registers[4];
  __cpuidex(registers, int(leaf), 0);
  out = {unsigned(registers[0]), unsigned(registers[1]), unsigned(registers[2]), unsigned(registers[3])};
#else
  __get_cpuid_count(leaf, 0, &out.eax, &out.ebx, &out.ecx, &out.edx);
#endif
  return out;
}
// The register sets that the operating system saves on a context switch.
inline unsigned long long enabled_states() {
#if defined(_M_X64) && !defined(__GNUC__)
  return _xgetbv(0);
#else
  unsigned low, high;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return (static_cast<unsigned long long>(high) << 32) | low;
#endif
}

// Slowest first. x86-64-v3 and -v4 are the levels of the System V ABI.
inline std::vector<std::string> runnable_variants() {
  std::vector<std::string> variants = {"baseline"};
  const CpuidLeaf one = cpuid_leaf(1), seven = cpuid_leaf(7), extended = cpuid_leaf(0x80000001u);
  const auto all = [](unsigned value, std::initializer_list<int> bits) {
    for (int bit : bits)
      if (!(value >> bit & 1)) return false;
    return true;
  };
  // SSE3, SSSE3, FMA, CX16, SSE4.1, SSE4.2, MOVBE, POPCNT, OSXSAVE, AVX, F16C; LAHF, LZCNT; BMI1, AVX2, BMI2
  const bool v3 = all(one.ecx, {0, 9, 12, 13, 19, 20, 22, 23, 27, 28, 29}) && all(extended.ecx, {0, 5}) &&
                  all(seven.ebx, {3, 5, 8}) && (enabled_states() & 0x6) == 0x6;
  if (!v3) return variants;
  variants.push_back("x86_64_v3");
  // AVX512F, DQ, CD, BW, VL
  if (all(seven.ebx, {16, 17, 28, 30, 31}) && (enabled_states() & 0xe6) == 0xe6) variants.push_back("x86_64_v4");
  return variants;
}

#else

inline std::vector<std::string> runnable_variants() { return {"baseline"}; }

#endif

}  // namespace fusedlstm
