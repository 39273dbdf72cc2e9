// The instruction set and libraries that a variant was compiled for.
#pragma once

namespace fusedlstm {

struct BuildInfo {
  const char* variant;
  const char* simd;   // the instruction sets that Eigen uses
  const char* eigen;  // its version
};
const BuildInfo& build_info();

}  // namespace fusedlstm
