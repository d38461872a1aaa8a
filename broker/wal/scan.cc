#include "broker/wal/scan.h"

#include <algorithm>
#include <memory>

#include "base/probe.h"
#include "broker/wal/verdict.h"

namespace sg::wal {
namespace {

// Large, so that a device works on several parts of it at once, and a scan waits for it seldom.
constexpr size_t kWindowBytes = 4 << 20;

class Scanner {
 public:
  Scanner(Task& task, disk::File& file, size_t block, const ScanRequest& request)
      : task_(task), reader_(block, kWindowBytes), block_(block), request_(request) {
    reader_.turn_to(file, request.file_bytes);
    limit_ = request.file_bytes / block * block;
    if (request.sealed && request.sealed->position > 0) limit_ = std::min(limit_, request.sealed->position);
    scan_.end = request.previous;
  }

  Result<Scan> run() {
    uint64_t at = request_.begin;
    while (at < limit_ && !complete()) {
      TRY(auto found, find(at, scan_.end.sequence));
      if (!found) {
        TRY(scan_.torn, looks_written(at));
        break;
      }
      if (found->header.position != at || !continues(found->header)) {
        REACHED("wal: a stretch of the journal is lost");
        lose(found->header.sequence);
      }
      at = found->header.position;
      TRY(bool accepted, take(*found));
      if (!accepted) break;
      at += scan_.commits.back().header.commit_bytes;
      if (scan_.commits.back().header.flags & kOrderlyStop) break;  // every run begins a segment of its own: nothing follows
    }
    if (request_.sealed && scan_.end.sequence < request_.sealed->sequence) lose(request_.sealed->sequence + 1);
    scan_.unreadable_blocks = reader_.unreadable_blocks();
    return std::move(scan_);
  }

 private:
  struct Found {
    CommitHeader header;
    bool has_header = false;
    bool has_trailer = false;
  };

  // Everything between the end so far and the commit of this sequence. Where no number is missing, the chain is broken: some commit that
  // was there is another one now.
  void lose(uint64_t next) {
    const uint64_t first = scan_.end.sequence + 1;
    if (next <= first) next = first + 1;
    scan_.lost.push_back({kEveryStream, request_.generation, static_cast<int64_t>(first), static_cast<int64_t>(next)});
  }

  bool complete() const { return request_.sealed && scan_.end.sequence >= request_.sealed->sequence; }

  bool continues(const CommitHeader& h) const { return h.sequence == scan_.end.sequence + 1 && h.previous_crc == scan_.end.crc; }

  bool belongs(const CommitHeader& h) const {
    return h.directory_id == request_.directory_id && h.generation == request_.generation && h.commit_bytes % block_ == 0 &&
           h.position % block_ == 0 && h.position >= request_.begin && h.commit_bytes <= limit_ && h.position <= limit_ - h.commit_bytes;
  }

  Result<std::unique_ptr<CommitHeader>> header_at(uint64_t at) {
    if (at + block_ > limit_) return nullptr;
    TRY(ByteSpan start, reader_.range(task_, at, block_));
    auto size = peek_header_bytes(start);
    if (!size || *size > limit_ - at) return nullptr;
    TRY(ByteSpan whole, reader_.range(task_, at, *size));
    auto header = decode_header(whole);
    if (!header || !belongs(*header) || header->position != at) return nullptr;
    return std::make_unique<CommitHeader>(std::move(*header));
  }

  // From the trailer of a commit whose last block begins at `at`.
  Result<std::unique_ptr<CommitHeader>> trailer_at(uint64_t at) {
    TRY(ByteSpan last, reader_.range(task_, at, block_));
    auto size = peek_footer(last);
    uint64_t end = at + block_;
    if (!size || *size + kFooterBytes > end - request_.begin) return nullptr;
    TRY(ByteSpan copy, reader_.range(task_, end - kFooterBytes - *size, *size));
    auto header = decode_header(copy);
    if (!header || !belongs(*header) || header->position + header->commit_bytes != end) return nullptr;
    return std::make_unique<CommitHeader>(std::move(*header));
  }

  // The first commit at or behind `at` that is younger than `sequence`.
  Result<std::optional<Found>> find(uint64_t at, uint64_t sequence) {
    for (uint64_t block = at; block < limit_; block += block_) {
      TRY(auto header, header_at(block));
      if (header && header->sequence > sequence) {
        TRY(auto copy, trailer_at(block + header->commit_bytes - block_));
        return Found{std::move(*header), true, copy != nullptr};
      }
      TRY(auto copy, trailer_at(block));
      if (copy && copy->sequence > sequence && copy->position >= at) return Found{std::move(*copy), false, true};
    }
    return std::nullopt;
  }

  // Judges a commit that is identified; false: it is cut.
  Result<bool> take(Found& found) {
    ScannedCommit commit;
    const CommitHeader& h = found.header;
    for (size_t i = 0; i < h.records.size(); ++i) {
      const Record& r = h.records[i];
      if (r.kind != RecordKind::append) continue;
      TRY(ByteSpan payload, reader_.range(task_, h.position + r.payload_at, r.payload_bytes));
      if (!payload_matches(r, payload)) commit.unreadable.push_back(i);
    }
    Evidence evidence{found.has_header, commit.unreadable.empty(), found.has_trailer, request_.sealed.has_value()};
    if (judge(evidence) == Verdict::cut) {
      TRY(auto later, find(h.position + h.commit_bytes, h.sequence));
      evidence.vouched = later.has_value();
    }
    Verdict verdict = judge(evidence);
    if (verdict == Verdict::cut) {
      REACHED("wal: a torn commit is cut");
      scan_.torn = true;
      return false;
    }
    if (verdict == Verdict::accept && !(found.has_header && found.has_trailer)) {
      REACHED("wal: a commit is read with one of its two headers");
      ++scan_.mended;
    }
    scan_.end = h.end();
    commit.header = std::move(found.header);
    scan_.commits.push_back(std::move(commit));
    return true;
  }

  // Whether a write of this generation began at `at`: only for the report, since nothing of it can be used.
  Result<bool> looks_written(uint64_t at) {
    TRY(ByteSpan block, reader_.range(task_, at, block_));
    if (!peek_header_bytes(block)) return false;
    return load_le<uint64_t>(block.data() + 16) == scan_.end.sequence + 1 && load_le<uint64_t>(block.data() + 24) == request_.generation;
  }

  Task& task_;
  BlockReader reader_;
  size_t block_;
  const ScanRequest& request_;
  uint64_t limit_ = 0;
  Scan scan_;
};

}  // namespace

Result<Scan> scan_segment(Task& task, disk::File& file, size_t block_bytes, const ScanRequest& request) {
  return Scanner(task, file, block_bytes, request).run();
}

}  // namespace sg::wal
