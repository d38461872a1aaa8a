// Between the bytes of a record batch (kafka/record_batch.h) and what replication and journal know of it: the one place that reads a
// batch's header for them.
#pragma once

#include "broker/kafka/record_batch.h"
#include "broker/partitions.h"

namespace sg::broker {

// Bytes of a batch in front of what its CRC covers. The journal checksums them itself; they bind base offset, length, leader epoch,
// magic and the CRC.
inline constexpr uint32_t kBatchCrcFrom = 21;

// A batch that a client sent and validate_produced() let pass. Shares the bytes.
IncomingBatch accept_batch(SharedBytes bytes);

// A batch that another node sent: its length, magic and CRC are verified.  Errc::corrupt.
Result<IncomingBatch> receive_batch(SharedBytes bytes);

Offset base_offset_of(const IncomingBatch& batch);
LeaderEpoch leader_epoch_of(const IncomingBatch& batch);
void stamp(IncomingBatch& batch, Offset base_offset, LeaderEpoch leader_epoch);

// What the journal keeps of a batch beside its place, so that neither recovery nor a look-up by time reads payloads.
wal::Aux to_aux(const replica::BatchInfo& info);
replica::Descriptor descriptor_of(const wal::Entry& entry);

}  // namespace sg::broker
