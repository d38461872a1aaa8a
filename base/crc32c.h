// CRC-32C (Castagnoli, polynomial 0x1EDC6F41 reflected), as Kafka's record batches use it (KIP-98) and the journal.
// The hardware path runs three streams of SSE4.2's crc32 at once and joins them (Intel, "Fast CRC Computation for iSCSI Polynomial
// Using CRC32 Instruction", 2011); the portable path is slicing-by-8. Both give the same value on every machine.
#pragma once

#include <cstdint>

#include "base/bytes.h"

namespace sg {

// The checksum of `bytes`, continuing from `crc`, the checksum of what came before (0 = nothing before).
uint32_t crc32c(ByteSpan bytes, uint32_t crc = 0);

// The twin without special instructions, for machines that lack them and for tests.
uint32_t crc32c_portable(ByteSpan bytes, uint32_t crc = 0);

}  // namespace sg
