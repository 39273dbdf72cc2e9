// Workspace: aligned memory that kernels borrow for a call, or from forward to backward. Returned blocks are kept
// for the next call, since the first touch of fresh pages costs more than many a kernel; how much is kept is
// bounded.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <mutex>
#include <new>
#include <utility>
#include <vector>

#include "simd/packets.hpp"

// GCC's macro first: Eigen defines __has_feature, as always 0, where the compiler has none.
#if defined(__SANITIZE_ADDRESS__)
#define FUSEDLSTM_ADDRESS_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define FUSEDLSTM_ADDRESS_SANITIZER 1
#endif
#endif
#if defined(FUSEDLSTM_ADDRESS_SANITIZER)
#include <sanitizer/asan_interface.h>
#endif

namespace fusedlstm {

inline constexpr std::size_t cache_line = 64;
inline constexpr std::size_t page = 4096;

// Of two counts, neither negative. Throws std::bad_alloc where it overflows: so much memory cannot be had.
inline std::ptrdiff_t checked_product(std::ptrdiff_t a, std::ptrdiff_t b) {
#if defined(__GNUC__)
  std::ptrdiff_t product = 0;
  if (a < 0 || b < 0 || __builtin_mul_overflow(a, b, &product)) throw std::bad_alloc();
  return product;
#else
  if (a < 0 || b < 0 || (b > 0 && a > PTRDIFF_MAX / b)) throw std::bad_alloc();
  return a * b;
#endif
}

// Under the address sanitizer no block is used twice, and the bytes behind each array and each block are out of bounds.
#if defined(FUSEDLSTM_ADDRESS_SANITIZER)
inline constexpr std::size_t blocks_to_keep = 0, fence = cache_line;
inline void forbid(void* at, std::size_t bytes) { ASAN_POISON_MEMORY_REGION(at, bytes); }
#else
inline constexpr std::size_t blocks_to_keep = 16, fence = 0;
inline void forbid(void*, std::size_t) {}
#endif

class Pool {
 public:
  static Pool& instance() {
    static Pool* pool = new Pool;  // never destroyed: blocks may be returned while the interpreter shuts down
    return *pool;
  }

  // Around a fork, whose child has only the thread that forked: nobody else may hold the lock then.
  void lock() { mutex_.lock(); }
  void unlock() { mutex_.unlock(); }

  // At least `bytes`, and how many they are.
  FUSEDLSTM_ONCE_A_CALL std::pair<void*, std::size_t> take(std::size_t bytes) {
    const std::size_t size = rounded(bytes);
    {
      std::lock_guard<std::mutex> guard(mutex_);
      for (auto kept = kept_.rbegin(); kept != kept_.rend(); ++kept) {
        if (kept->second != size) continue;
        const auto found = *kept;
        kept_.erase(std::next(kept).base());
        kept_bytes_ -= size;
        return found;
      }
    }
#if defined(_MSC_VER)
    void* memory = _aligned_malloc(size, page);
#else
    void* memory = std::aligned_alloc(page, size);
#endif
    if (!memory) throw std::bad_alloc();
    return {memory, size};
  }

  FUSEDLSTM_ONCE_A_CALL void give_back(void* memory, std::size_t size) {
    std::lock_guard<std::mutex> guard(mutex_);
    kept_.emplace_back(memory, size);
    kept_bytes_ += size;
    while (kept_.size() > blocks_to_keep || kept_bytes_ > most_bytes) {
      const auto oldest = kept_.front();
      kept_.erase(kept_.begin());
      kept_bytes_ -= oldest.second;
      release(oldest.first);
    }
  }

 private:
  static constexpr std::size_t most_bytes = std::size_t(256) << 20;

  // Sizes in steps of an eighth, so that calls of about the same shape share blocks.
  static std::size_t rounded(std::size_t bytes) {
    std::size_t step = page;
    while (step * 16 <= bytes) step *= 2;
    return (bytes + step - 1) / step * step + (bytes ? 0 : step);
  }
  static void release(void* memory) {
#if defined(_MSC_VER)
    _aligned_free(memory);
#else
    std::free(memory);
#endif
  }

  std::mutex mutex_;
  std::vector<std::pair<void*, std::size_t>> kept_;
  std::size_t kept_bytes_ = 0;
};

// A block of the pool, returned at the end of its life. Its contents are arbitrary.
class Block {
 public:
  Block() = default;
  explicit Block(std::size_t bytes) {
    std::tie(memory_, size_) = Pool::instance().take(bytes + fence);
    forbid(static_cast<char*>(memory_) + bytes, size_ - bytes);
  }
  ~Block() {
    if (memory_) Pool::instance().give_back(memory_, size_);
  }
  Block(Block&& other) noexcept
      : memory_(std::exchange(other.memory_, nullptr)), size_(std::exchange(other.size_, 0)) {}
  Block& operator=(Block&& other) noexcept {
    std::swap(memory_, other.memory_);
    std::swap(size_, other.size_);
    return *this;
  }
  Block(const Block&) = delete;
  Block& operator=(const Block&) = delete;

  void* memory() const { return memory_; }
  std::size_t size() const { return size_; }

 private:
  void* memory_ = nullptr;
  std::size_t size_ = 0;
};

// Cuts a block into arrays. Run once with no memory it adds up the size, run again it hands out the pieces:
// a layout is written once, as a function of a Carver.
class Carver {
 public:
  explicit Carver(void* memory = nullptr) : memory_(static_cast<char*>(memory)) {}
  template <class S>
  S* take(std::ptrdiff_t count, std::size_t alignment = cache_line) {
    constexpr std::size_t most = std::size_t(PTRDIFF_MAX) / 4;
    if (count < 0 || std::size_t(count) > most / sizeof(S) || used_ > most) throw std::bad_alloc();
    used_ = (used_ + alignment - 1) / alignment * alignment;
    S* piece = memory_ ? reinterpret_cast<S*>(memory_ + used_) : nullptr;
    used_ += static_cast<std::size_t>(count) * sizeof(S);
    if (piece) forbid(piece + count, fence);
    used_ += fence;
    return piece;
  }
  std::size_t used() const { return used_; }

 private:
  char* memory_;
  std::size_t used_ = 0;
};

}  // namespace fusedlstm
