// Frames out of a stream: however it is cut into chunks the same frames come out, they stay what they were, and a stream that ends or lies
// is told from one that goes on.
#include "broker/frame_reader.h"

#include <doctest/doctest.h>

#include "tests/broker/script_connection.h"

using namespace sg;
using namespace sg::broker;
using namespace sg::broker::testing;

namespace {

using AtEnd = ScriptConnection::AtEnd;

struct Fixture {
  World world;
  ScriptConnection connection;
  std::vector<SharedBytes> frames;
  Error end{Errc::stopped, ""};  // what the reader said last

  void send_in_chunks(ByteSpan stream, size_t chunk) {
    for (size_t at = 0; at < stream.size(); at += chunk) connection.chunk(stream.subspan(at, std::min(chunk, stream.size() - at)));
  }
  // Reads until the first error.
  void read_all(size_t max_frame_bytes = 1 << 20) {
    world.run([&](Task& t) {
      FrameReader reader(connection, max_frame_bytes);
      for (;;) {
        Result<SharedBytes> frame = reader.next(t);
        if (!frame) {
          end = frame.error();
          return;
        }
        frames.push_back(*frame);
      }
    });
  }
  std::vector<std::string> texts() const {
    std::vector<std::string> out;
    for (const SharedBytes& f : frames) out.emplace_back(as_text(f));
    return out;
  }
};

// Bytes that differ from frame to frame and from place to place.
ByteVec pattern(size_t size, size_t seed) {
  ByteVec out(size);
  for (size_t i = 0; i < size; ++i) out[i] = static_cast<uint8_t>(i * 7 + i / 251 + seed * 31);
  return out;
}

}  // namespace

TEST_CASE("given two frames, when the stream is cut at any byte, then the same frames come out") {
  const ByteVec stream = joined({framed("first"), framed("second one")});
  for (size_t cut = 0; cut <= stream.size(); ++cut) {
    Fixture f;
    if (cut > 0) f.connection.chunk(ByteSpan(stream).first(cut));
    if (cut < stream.size()) f.connection.chunk(ByteSpan(stream).subspan(cut));
    f.connection.then(AtEnd::finished);
    f.read_all();
    CHECK(f.texts() == std::vector<std::string>{"first", "second one"});
    CHECK(f.end.code == Errc::closed);
  }
}

TEST_CASE("given single bytes, when frames are read, then they come out whole, empty ones too") {
  Fixture f;
  for (uint8_t byte : joined({framed("a"), framed(""), framed("bc")})) f.connection.chunk({&byte, 1});
  f.connection.then(AtEnd::finished);
  f.read_all();
  CHECK(f.texts() == std::vector<std::string>{"a", "", "bc"});
}

TEST_CASE("given several frames in one chunk, when they are read, then one read of the connection suffices") {
  Fixture f;
  f.connection.chunk(joined({framed("a"), framed("b"), framed("c")}));
  f.connection.then(AtEnd::finished);
  f.read_all();
  CHECK(f.texts() == std::vector<std::string>{"a", "b", "c"});
  CHECK(f.connection.reads == 2);  // the second saw the end
}

TEST_CASE("given frames of all sizes around the reader's blocks, when all are kept, then later reads leave earlier ones as they were") {
  const std::vector<size_t> sizes{1, 4091, 4092, 4093, 0, 4096, 8187, 3, 65'531, 65'536, 200'000, 5, 100, 70'000, 65'532, 1};
  for (size_t chunk : {size_t{977}, size_t{4096}, size_t{1'000'000}}) {
    Fixture f;
    ByteVec stream;
    for (size_t i = 0; i < sizes.size(); ++i) stream = joined({stream, framed(pattern(sizes[i], i))});
    f.send_in_chunks(stream, chunk);
    f.connection.then(AtEnd::finished);
    f.read_all();
    REQUIRE(f.frames.size() == sizes.size());
    for (size_t i = 0; i < sizes.size(); ++i) CHECK(equal(f.frames[i], pattern(sizes[i], i)));
    CHECK(f.end.code == Errc::closed);
  }
}

TEST_CASE("given frames of which none is kept, when many are read, then each is right although blocks are used again") {
  Fixture f;
  ByteVec stream;
  constexpr size_t kFrames = 200;
  for (size_t i = 0; i < kFrames; ++i) {
    ByteVec frame = framed(pattern(i * 37 % 5000, i));
    stream.insert(stream.end(), frame.begin(), frame.end());
  }
  f.send_in_chunks(stream, 1500);
  size_t right = 0;
  f.world.run([&](Task& t) {
    FrameReader reader(f.connection, 1 << 20);
    for (size_t i = 0; i < kFrames; ++i) {
      Result<SharedBytes> frame = reader.next(t);
      REQUIRE(frame.has_value());
      right += equal(*frame, pattern(i * 37 % 5000, i));
    }
  });
  CHECK(right == kFrames);
}

TEST_CASE("given a frame at the limit and one above it, when they are read, then the second is refused with its length") {
  Fixture f;
  f.connection.chunk(joined({framed("12345678"), framed("123456789")}));
  f.read_all(8);
  CHECK(f.texts() == std::vector<std::string>{"12345678"});
  CHECK(f.end.code == Errc::too_large);
  CHECK(f.end.what.find("9 bytes") != std::string::npos);
}

TEST_CASE("given a negative or a huge length, when it is read, then it is refused before anything more is read") {
  for (ByteVec length : {ByteVec{0xff, 0xff, 0xff, 0xff}, ByteVec{0x80, 0, 0, 0}, ByteVec{0x7f, 0xff, 0xff, 0xff}}) {
    Fixture f;
    f.connection.chunk(length);
    f.read_all();
    CHECK(f.frames.empty());
    CHECK(f.end.code == Errc::too_large);
    CHECK(f.connection.reads == 1);
  }
}

TEST_CASE("given a peer that finishes inside a frame, when it is read, then that is a broken stream and not its end") {
  const ByteVec frame = framed("body");
  for (size_t n = 1; n < frame.size(); ++n) {
    Fixture f;
    f.connection.chunk(joined({framed("whole"), ByteVec(frame.begin(), frame.begin() + static_cast<std::ptrdiff_t>(n))}));
    f.connection.then(AtEnd::finished);
    f.read_all();
    CHECK(f.texts() == std::vector<std::string>{"whole"});
    CHECK(f.end.code == Errc::reset);
  }
}

TEST_CASE("given a connection that breaks, when a frame is awaited, then the error is passed on") {
  Fixture f;
  f.connection.chunk(framed("whole"));
  f.connection.then(AtEnd::reset);
  f.read_all();
  CHECK(f.frames.size() == 1);
  CHECK(f.end.code == Errc::reset);
}

TEST_CASE("given a silent peer, when the deadline passes inside a frame, then it times out, and the frame can still be read afterwards") {
  Fixture f;
  const ByteVec frame = framed("late body");
  f.connection.chunk(ByteSpan(frame).first(6));
  f.world.run([&](Task& t) {
    FrameReader reader(f.connection, 100);
    CHECK(reader.next(t, t.now() + 10ms).is(Errc::timeout));
    f.connection.chunk(ByteSpan(frame).subspan(6));
    Result<SharedBytes> whole = reader.next(t, t.now() + 10ms);
    REQUIRE(whole.has_value());
    CHECK(as_text(*whole) == "late body");
  });
}

TEST_CASE("given a length far above what has come, when its bytes are awaited, then memory follows what is there") {
  struct Room final : FrameRoom {
    std::vector<size_t> asked;
    size_t released = 0;
    Result<> reserve(Task&, size_t bytes) override {
      asked.push_back(bytes);
      return {};
    }
    void release() override { ++released; }
  } room;
  constexpr size_t kMib = 1 << 20;
  const ByteVec body = pattern(5 * kMib, 3);
  Fixture f;
  f.send_in_chunks(framed(body), 10'000);
  f.send_in_chunks(framed("after"), 10'000);
  f.connection.then(AtEnd::finished);
  f.world.run([&](Task& t) {
    FrameReader reader(f.connection, 100 * kMib, &room);
    Result<SharedBytes> frame = reader.next(t);
    REQUIRE(frame);
    CHECK(equal(*frame, body));
    CHECK(room.asked == std::vector<size_t>{kMib, 2 * kMib, 4 * kMib, 5 * kMib + 4});
    CHECK(room.released == 1);
    frame = reader.next(t);
    REQUIRE(frame);
    CHECK(as_text(*frame) == "after");
  });
}

TEST_CASE("given a room that lends nothing, when a large frame comes, then its error ends the reading, and small frames never ask") {
  struct Room final : FrameRoom {
    Result<> reserve(Task&, size_t) override { return fail(Errc::busy); }
    void release() override {}
  } room;
  Fixture f;
  f.connection.chunk(framed(pattern(60'000, 1)));
  f.connection.chunk(framed(pattern(100'000, 2)));
  f.connection.then(AtEnd::finished);
  f.world.run([&](Task& t) {
    FrameReader reader(f.connection, 1 << 20, &room);
    CHECK(reader.next(t).has_value());
    CHECK(reader.next(t).is(Errc::busy));
  });
}
