// How much memory code asks for, so that a test can hold a decoder to its promise. In a program that links allocations.cc every
// `new` counts; under AddressSanitizer its own allocator tells instead, and stays what it is.
#pragma once

#include <cstdint>

namespace sg::hostile {

// Bytes that this thread has asked for so far, freed or not. Only the difference between two calls means something; it is an upper
// bound of what was held at any moment between them.
uint64_t allocated_bytes();

}  // namespace sg::hostile
