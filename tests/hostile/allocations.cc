#include "tests/hostile/allocations.h"

#include <algorithm>
#include <cstdlib>
#include <new>

#if defined(__SANITIZE_ADDRESS__)
#define SG_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SG_ASAN 1
#endif
#endif

namespace {
thread_local uint64_t allocated = 0;
}

#ifdef SG_ASAN

// From <sanitizer/allocator_interface.h>, which g++ does not bring along.
extern "C" int __sanitizer_install_malloc_and_free_hooks(void (*on_malloc)(const volatile void*, size_t),
                                                         void (*on_free)(const volatile void*));

uint64_t sg::hostile::allocated_bytes() {
  static const int hooks =
      __sanitizer_install_malloc_and_free_hooks([](const volatile void*, size_t size) { allocated += size; }, [](const volatile void*) {});
  (void)hooks;
  return allocated;
}

#else

uint64_t sg::hostile::allocated_bytes() { return allocated; }

// The array and nothrow forms of the standard library call these.
void* operator new(size_t size) {
  allocated += size;
  if (void* p = std::malloc(size == 0 ? 1 : size)) return p;
  throw std::bad_alloc();
}
void* operator new(size_t size, std::align_val_t alignment) {
  allocated += size;
  void* p = nullptr;
  if (posix_memalign(&p, std::max(static_cast<size_t>(alignment), sizeof p), size == 0 ? 1 : size) == 0) return p;
  throw std::bad_alloc();
}
void operator delete(void* p) noexcept { std::free(p); }
void operator delete(void* p, size_t) noexcept { std::free(p); }
void operator delete(void* p, std::align_val_t) noexcept { std::free(p); }
void operator delete(void* p, size_t, std::align_val_t) noexcept { std::free(p); }

#endif
