// Workspace: aligned memory for a call, or from forward to backward. A pool keeps returned blocks for the next call,
// because the first access to new pages takes longer than many calls. The size of the pool is limited.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <mutex>
#include <new>
#include <utility>
#include <vector>

#include "simd/packets.hpp"

// GCC's macro is tested first: Eigen defines __has_feature as 0 if the compiler does not have it.
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
// The alignment of an object that one thread writes often, beside objects of other threads: processors fetch cache
// lines in pairs.
inline constexpr std::size_t thread_alignment = 2 * cache_line;

// Keeps a distance behind each array, so that no cache line contains two arrays.
template <class T>
struct ThreadAllocator {
  using value_type = T;
  ThreadAllocator() = default;
  template <class U>
  ThreadAllocator(const ThreadAllocator<U>&) {}
  T* allocate(std::size_t count) { return static_cast<T*>(::operator new(count * sizeof(T) + thread_alignment)); }
  void deallocate(T* memory, std::size_t) { ::operator delete(memory); }
  bool operator==(const ThreadAllocator&) const { return true; }
  bool operator!=(const ThreadAllocator&) const { return false; }
};
// A vector that one thread writes.
template <class T>
using ThreadVector = std::vector<T, ThreadAllocator<T>>;

// The product of two counts, which are not negative. Throws std::bad_alloc on overflow: no memory can hold that many.
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

// With the address sanitizer, no block is used twice, and it is an error to access the bytes behind an array or a
// block.
#if defined(FUSEDLSTM_ADDRESS_SANITIZER)
inline constexpr std::size_t max_kept_blocks = 0, fence = cache_line;
inline void poison(void* at, std::size_t bytes) { ASAN_POISON_MEMORY_REGION(at, bytes); }
#else
inline constexpr std::size_t max_kept_blocks = 64, fence = 0;
inline void poison(void*, std::size_t) {}
#endif

class MemoryPool {
 public:
  // Never destroyed: blocks may be returned while the interpreter shuts down.
  static MemoryPool& instance() {
    static MemoryPool* pool = new MemoryPool;
    return *pool;
  }

  // Called around a fork (team.hpp). The child has only the thread that forked, so that a lock which another thread
  // held would stay locked.
  void lock() { mutex_.lock(); }
  void unlock() { mutex_.unlock(); }

  // Returns a block of at least `bytes` bytes, and its size.
  FUSEDLSTM_COLD std::pair<void*, std::size_t> take(std::size_t bytes) {
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

  FUSEDLSTM_COLD void give_back(void* memory, std::size_t size) {
    std::lock_guard<std::mutex> guard(mutex_);
    kept_.emplace_back(memory, size);
    kept_bytes_ += size;
    while (kept_.size() > max_kept_blocks || kept_bytes_ > max_kept_bytes) {
      const auto oldest = kept_.front();
      kept_.erase(kept_.begin());
      kept_bytes_ -= oldest.second;
      release(oldest.first);
    }
  }

 private:
  static constexpr std::size_t max_kept_bytes = std::size_t(256) << 20;

  // Rounds up by at most an eighth, so that calls of similar shapes share blocks.
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

// A block of the pool, returned by the destructor. Its contents are arbitrary.
class MemoryBlock {
 public:
  MemoryBlock() = default;
  explicit MemoryBlock(std::size_t bytes) {
    std::tie(memory_, size_) = MemoryPool::instance().take(bytes + fence);
    poison(static_cast<char*>(memory_) + bytes, size_ - bytes);
  }
  ~MemoryBlock() {
    if (memory_) MemoryPool::instance().give_back(memory_, size_);
  }
  MemoryBlock(MemoryBlock&& other) noexcept
      : memory_(std::exchange(other.memory_, nullptr)), size_(std::exchange(other.size_, 0)) {}
  MemoryBlock& operator=(MemoryBlock&& other) noexcept {
    std::swap(memory_, other.memory_);
    std::swap(size_, other.size_);
    return *this;
  }
  MemoryBlock(const MemoryBlock&) = delete;
  MemoryBlock& operator=(const MemoryBlock&) = delete;

  void* memory() const { return memory_; }
  std::size_t size() const { return size_; }

 private:
  void* memory_ = nullptr;
  std::size_t size_ = 0;
};

// Divides a block of memory into arrays. Without memory, `take` only adds up the size and returns null.
class Arena {
 public:
  explicit Arena(void* memory = nullptr) : memory_(static_cast<char*>(memory)) {}
  template <class S>
  S* take(std::ptrdiff_t count, std::size_t alignment = cache_line) {
    constexpr std::size_t limit = std::size_t(PTRDIFF_MAX) / 4;
    if (count < 0 || std::size_t(count) > limit / sizeof(S) || used_ > limit) throw std::bad_alloc();
    used_ = (used_ + alignment - 1) / alignment * alignment;
    S* piece = memory_ ? reinterpret_cast<S*>(memory_ + used_) : nullptr;
    used_ += static_cast<std::size_t>(count) * sizeof(S);
    if (piece) poison(piece + count, fence);
    used_ += fence;
    return piece;
  }
  std::size_t used() const { return used_; }

 private:
  char* memory_;
  std::size_t used_ = 0;
};

// Allocates a block for a layout and returns it. layout(arena) takes its arrays from the arena and returns
// arena.used(). It is called twice: without memory, to find the size, and with the block.
template <class Layout>
MemoryBlock allocate(Layout&& layout) {
  MemoryBlock block(layout(Arena()));
  layout(Arena(block.memory()));
  return block;
}

}  // namespace fusedlstm
