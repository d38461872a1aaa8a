// How a message describes itself, and what reads that description. A struct names each of its fields once, in wire order:
//
//     template <class Io>
//     void FetchRequest::Partition::describe(Io& io) {
//       io.field(partition);
//       io.field(current_leader_epoch, since(9));                   // on the wire from version 9 on
//       io.field(topic, between(0, 12), since(10));                 // an optional that may be null from version 10 on
//       io.end(tagged(0, diverging_epoch, since(12)));              // always last: the tagged fields, ascending by tag
//     }
//
// Decoder, Encoder and MinSize are the three readers. The type says the encoding: integers, enums and ids big-endian; bool; Uuid;
// std::string; std::vector; SharedBytes and Records (slices, never copied); structs with describe(); std::optional of these is
// nullable. Flexible versions (KIP-482) use compact lengths and end each struct with tagged fields.
// Invariant of the Decoder: memory for elements is never reserved beyond the bytes that remain, and all elements of a message
// together occupy at most kMemoryFactor times its size (+ kMemorySlack); unknown tags are skipped, not kept.
// For the messages' .cc files only; each ends with SG_KAFKA_MESSAGE(...) for what it defines.
#pragma once

#include <algorithm>
#include <array>
#include <concepts>
#include <optional>
#include <string>
#include <type_traits>
#include <vector>

#include "base/ids.h"
#include "broker/kafka/codec.h"
#include "broker/kafka/records.h"

namespace sg::kafka {

struct Versions {
  int16_t from = 0;
  int16_t to = INT16_MAX;
  constexpr bool contain(int16_t version) const { return from <= version && version <= to; }
};
inline constexpr Versions kAlways{};
constexpr Versions since(int16_t from) { return {from, INT16_MAX}; }
constexpr Versions between(int16_t from, int16_t to) { return {from, to}; }

// A field of the tagged section: left out while it equals its default.
template <class T>
struct Tagged {
  uint32_t tag;
  Versions versions;
  T& value;
  T default_value;
};
template <class T>
Tagged<T> tagged(uint32_t tag, T& value, Versions versions, std::type_identity_t<T> default_value = T{}) {
  return {tag, versions, value, std::move(default_value)};
}

class MinSize;

namespace wire {
template <class T>
concept Number = (std::integral<T> && !std::same_as<T, bool>) || std::is_enum_v<T>;
template <class T>
concept Described = requires(T& value, MinSize& io) {
  value.describe(io);
};
template <Number T>
constexpr auto number_of() {
  if constexpr (std::is_enum_v<T>)
    return std::underlying_type_t<T>{};
  else
    return T{};
}
template <Number T>
using NumberOf = decltype(number_of<T>());
}  // namespace wire

// The least number of bytes that a T takes in one version: what a claimed count is held against.
class MinSize {
 public:
  MinSize(int16_t version, bool flexible) : version_(version), flexible_(flexible) {}

  template <class T>
  static size_t of(int16_t version, bool flexible) {
    MinSize sum(version, flexible);
    sum.add(static_cast<T*>(nullptr));
    return std::max<size_t>(sum.bytes_, 1);
  }

  template <class T>
  void field(T&, Versions versions = kAlways, Versions = kAlways) {
    if (versions.contain(version_)) add(static_cast<T*>(nullptr));
  }
  template <class... T>
  void end(const Tagged<T>&...) {
    bytes_ += flexible_ ? 1 : 0;
  }

 private:
  template <wire::Number T>
  void add(T*) {
    bytes_ += sizeof(T);
  }
  template <class Tag, class Rep>
  void add(Id<Tag, Rep>*) {
    bytes_ += sizeof(Rep);
  }
  void add(bool*) { bytes_ += 1; }
  void add(Uuid*) { bytes_ += 16; }
  void add(std::string*) { bytes_ += flexible_ ? 1 : 2; }
  void add(SharedBytes*) { bytes_ += flexible_ ? 1 : 4; }
  void add(Records*) { bytes_ += flexible_ ? 1 : 4; }
  template <class T>
  void add(std::vector<T>*) {
    bytes_ += flexible_ ? 1 : 4;
  }
  template <class T>
  void add(std::optional<T>*) {
    if constexpr (wire::Described<T>)
      bytes_ += 1;  // a null struct
    else
      add(static_cast<T*>(nullptr));
  }
  template <wire::Described T>
  void add(T*) {
    T value{};
    value.describe(*this);
  }

  int16_t version_;
  bool flexible_;
  size_t bytes_ = 0;
};

// Reads a body. The first wrong byte latches failure: everything after it reads as zero or empty; ask finish() once at the end.
class Decoder {
 public:
  static constexpr size_t kMemoryFactor = 16;
  static constexpr size_t kMemorySlack = 64 << 10;

  // `body` outlives the decoder.
  Decoder(const SharedBytes& body, int16_t version, bool flexible)
      : body_(body),
        reader_(body.span()),
        version_(version),
        flexible_(flexible),
        memory_left_(kMemoryFactor * body.size() + kMemorySlack) {}

  template <class T>
  void field(T& value, Versions versions = kAlways, Versions nullable = kAlways) {
    if (!versions.contain(version_) || !reader_.ok()) return;
    field_begin_ = body_.size() - reader_.remaining();
    read(value, nullable.contain(version_));
  }

  template <class... T>
  void end(const Tagged<T>&... known) {
    if (!flexible_) return;
    int64_t previous = -1;
    for (uint32_t left = reader_.uvarint32(); left > 0 && reader_.ok(); --left) {
      uint32_t tag = reader_.uvarint32();
      uint32_t size = reader_.uvarint32();
      ByteSpan bytes = reader_.bytes(size);
      if (tag <= previous) reader_.fail();  // KIP-482: ascending, each once
      previous = tag;
      (void)((known.tag == tag && known.versions.contain(version_) && (read_tagged(known.value, bytes), true)) || ...);
    }
  }

  // Ok if everything was well-formed and nothing is left over.  Errc::invalid.
  Result<> finish() const;

 private:
  enum class Wide : bool { no, yes };  // classic length: two or four bytes
  // Bytes or elements; nothing for null, which fails unless it is allowed.
  std::optional<size_t> length(Wide wide, bool nullable);
  bool reserve_memory(size_t bytes);
  void read_text(std::string& text, size_t size);
  SharedBytes read_slice(size_t size);

  template <wire::Number T>
  void read(T& value, bool) {
    value = static_cast<T>(reader_.be<wire::NumberOf<T>>());
  }
  template <class Tag, class Rep>
  void read(Id<Tag, Rep>& id, bool) {
    id.v = reader_.be<Rep>();
  }
  void read(bool& value, bool) { value = reader_.be<uint8_t>() != 0; }
  void read(Uuid& id, bool) {
    id.high = reader_.be<uint64_t>();
    id.low = reader_.be<uint64_t>();
  }
  void read(std::string& text, bool) {
    if (auto size = length(Wide::no, false)) read_text(text, *size);
  }
  void read(std::optional<std::string>& text, bool nullable) {
    if (auto size = length(Wide::no, nullable)) read_text(text.emplace(), *size);
  }
  void read(SharedBytes& bytes, bool) {
    if (auto size = length(Wide::yes, false)) bytes = read_slice(*size);
  }
  void read(std::optional<SharedBytes>& bytes, bool nullable) {
    if (auto size = length(Wide::yes, nullable)) bytes = read_slice(*size);
  }
  void read(std::optional<Records>& records, bool nullable) {
    auto size = length(Wide::yes, nullable);
    if (!size) return;
    records.emplace();
    if (*size > 0) records->pieces.push_back(read_slice(*size));
  }
  template <class T>
  void read(std::vector<T>& elements, bool) {
    if (auto count = length(Wide::yes, false)) read_elements(elements, *count);
  }
  template <class T>
  void read(std::optional<std::vector<T>>& elements, bool nullable) {
    if (auto count = length(Wide::yes, nullable)) read_elements(elements.emplace(), *count);
  }
  template <wire::Described T>
  void read(std::optional<T>& value, bool nullable) {
    int8_t mark = nullable ? reader_.be<int8_t>() : int8_t{1};
    if (mark >= 0) read(value.emplace(), false);
  }
  template <wire::Described T>
  void read(T& value, bool) {
    value.describe(*this);
  }

  template <class T>
  void read_elements(std::vector<T>& elements, size_t count) {
    if (count > reader_.remaining() / MinSize::of<T>(version_, flexible_) || !reserve_memory(count * sizeof(T))) return reader_.fail();
    // An element may be far larger in memory than on the wire: what is reserved ahead is backed by bytes that are there.
    elements.reserve(std::min(count, reader_.remaining() / sizeof(T) + 1));
    for (size_t i = 0; i < count && reader_.ok(); ++i) read(elements.emplace_back(), false);
  }
  template <class T>
  void read_tagged(T& value, ByteSpan bytes) {
    if (!reader_.ok()) return;
    ByteReader outer = std::exchange(reader_, ByteReader(bytes));
    read(value, true);
    bool whole = reader_.ok() && reader_.remaining() == 0;
    reader_ = outer;
    if (!whole) reader_.fail();
  }

  const SharedBytes& body_;
  ByteReader reader_;
  int16_t version_;
  bool flexible_;
  size_t memory_left_;
  size_t field_begin_ = 0;
};

// Appends a body to a Gather. Reads the message only; it takes it as mutable because describe() serves both directions.
class Encoder {
 public:
  Encoder(Gather& out, int16_t version, bool flexible) : out_(out), writer_(out.bytes()), version_(version), flexible_(flexible) {}

  template <class T>
  void field(T& value, Versions versions = kAlways, Versions nullable = kAlways) {
    if (versions.contain(version_)) write(value, nullable.contain(version_));
  }

  template <class... T>
  void end(const Tagged<T>&... fields) {
    if (!flexible_) return;
    if constexpr (sizeof...(T) > 1) {
      std::array tags{fields.tag...};
      ENSURE(std::ranges::is_sorted(tags, std::ranges::less_equal{}), "tags ascend, each once");
    }
    writer_.uvarint((size_t{0} + ... + (present(fields) ? 1 : 0)));
    (write_tagged(fields), ...);
  }

 private:
  enum class Wide : bool { no, yes };
  void length(size_t n, Wide wide);
  // Empty where the version knows no null.
  void null(Wide wide, bool nullable);
  void write_text(const std::string& text);

  template <wire::Number T>
  void write(T value, bool) {
    writer_.be(static_cast<wire::NumberOf<T>>(value));
  }
  template <class Tag, class Rep>
  void write(Id<Tag, Rep> id, bool) {
    writer_.be(id.v);
  }
  void write(bool value, bool) { writer_.be<uint8_t>(value ? 1 : 0); }
  void write(const Uuid& id, bool) {
    writer_.be(id.high);
    writer_.be(id.low);
  }
  void write(const std::string& text, bool) { write_text(text); }
  void write(const std::optional<std::string>& text, bool nullable) { text ? write_text(*text) : null(Wide::no, nullable); }
  void write(const SharedBytes& bytes, bool) {
    length(bytes.size(), Wide::yes);
    out_.append(bytes);
  }
  void write(const std::optional<SharedBytes>& bytes, bool nullable) { bytes ? write(*bytes, false) : null(Wide::yes, nullable); }
  void write(const std::optional<Records>& records, bool nullable) {
    if (!records) return null(Wide::yes, nullable);
    length(records->size(), Wide::yes);
    for (const SharedBytes& piece : records->pieces) out_.append(piece);
  }
  template <class T>
  void write(std::vector<T>& elements, bool) {
    length(elements.size(), Wide::yes);
    for (T& element : elements) write(element, false);
  }
  template <class T>
  void write(std::optional<std::vector<T>>& elements, bool nullable) {
    elements ? write(*elements, false) : null(Wide::yes, nullable);
  }
  template <wire::Described T>
  void write(std::optional<T>& value, bool nullable) {
    ENSURE(value || nullable, "a struct that cannot be null is missing");
    if (nullable) writer_.be<int8_t>(value ? 1 : -1);
    if (value) write(*value, false);
  }
  template <wire::Described T>
  void write(T& value, bool) {
    value.describe(*this);
  }

  template <class T>
  bool present(const Tagged<T>& field) const {
    return field.versions.contain(version_) && field.value != field.default_value;
  }
  template <class T>
  void write_tagged(const Tagged<T>& field) {
    if (!present(field)) return;
    Gather content;
    Encoder(content, version_, flexible_).write(field.value, true);
    ENSURE(!content.has_shared(), "no record batches in tagged fields");
    writer_.uvarint(field.tag);
    writer_.uvarint(content.size());
    writer_.bytes(content.bytes());
  }

  Gather& out_;
  ByteWriter writer_;
  int16_t version_;
  bool flexible_;
};

// Puts the name of the message in front of the error.
Error undecodable(const Api& api, int16_t version, Error error);

template <class Message>
Result<Message> decode(int16_t version, const SharedBytes& body) {
  TRY(const Api* api, spoken_api(Message::kApiKey, version));
  Result<Message> message(std::in_place);
  Decoder decoder(body, version, api->is_flexible(version));
  message->describe(decoder);
  if (auto end = decoder.finish(); !end) return std::unexpected(undecodable(*api, version, std::move(end).error()));
  return message;
}

template <class Message>
void encode(Gather& out, int16_t version, const Message& message) {
  const Api* api = find_api(Message::kApiKey);
  ENSURE(api && api->advertised.contains(version), "{} v{} is not spoken", to_string(Message::kApiKey), version);
  Encoder encoder(out, version, api->is_flexible(version));
  const_cast<Message&>(message).describe(encoder);
}

}  // namespace sg::kafka

// Instantiates both directions of one message.
#define SG_KAFKA_MESSAGE(Message)                                        \
  template Result<Message> decode<Message>(int16_t, const SharedBytes&); \
  template void encode<Message>(Gather&, int16_t, const Message&)
