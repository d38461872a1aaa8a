// floor: the least that one acks=all write can take on this machine: three processes, blocking sockets, one synced direct 4 KiB write
// each, and nothing of Kafka. usage: floor [--dir DIR] [--rounds N] [--size BYTES] [--json]
//
//   client --bytes--> leader --bytes--> two followers: write, answer --> leader, which has written meanwhile: answer --> client
//
// The client is this process; leader and followers are its children, and end with it.
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <csignal>
#include <cstring>
#include <functional>
#include <utility>

#include "bench/measure.h"

namespace {

using namespace sg::bench;

constexpr uint64_t kFileBytes = 16 << 20;
constexpr size_t kBlock = 4096;

// Both ends of a TCP connection over loopback, without delays.
std::pair<int, int> connection() {
  const int listener = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  if (::bind(listener, generic, length) != 0 || ::listen(listener, 1) != 0 || ::getsockname(listener, generic, &length) != 0)
    die("cannot listen on 127.0.0.1");
  const int near = ::socket(AF_INET, SOCK_STREAM, 0);
  if (::connect(near, generic, length) != 0) die("cannot connect to 127.0.0.1");
  const int far = ::accept(listener, nullptr, nullptr);
  if (far < 0) die("cannot accept");
  ::close(listener);
  for (int fd : {near, far}) {
    int on = 1;
    if (::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0) die("TCP_NODELAY");
  }
  return {near, far};
}

// False at the end of the connection.
bool receive(int fd, uint8_t* bytes, size_t size) {
  for (size_t done = 0; done < size;) {
    const ssize_t n = ::recv(fd, bytes + done, size - done, 0);
    if (n <= 0) return false;
    done += static_cast<size_t>(n);
  }
  return true;
}

void send_all(int fd, const uint8_t* bytes, size_t size) {
  if (::send(fd, bytes, size, MSG_NOSIGNAL) != static_cast<ssize_t>(size)) die("send");
}

// The file of one process, written from its beginning again and again.
class Log {
 public:
  explicit Log(int fd) : fd_(fd), block_(aligned_bytes(kBlock)) {}
  void commit(const uint8_t* bytes, size_t size) {
    std::memcpy(block_, bytes, size);
    write_synced(fd_, block_, kBlock, at_);
    at_ = (at_ + kBlock) % kFileBytes;
  }

 private:
  int fd_;
  uint8_t* block_;
  uint64_t at_ = 0;
};

void follow(int file, int leader, size_t size) {
  Log log(file);
  uint8_t* bytes = aligned_bytes(size);
  while (receive(leader, bytes, size)) {
    log.commit(bytes, size);
    send_all(leader, bytes, 1);
  }
}

void lead(int file, int client, std::array<int, 2> followers, size_t size) {
  Log log(file);
  uint8_t* bytes = aligned_bytes(size);
  while (receive(client, bytes, size)) {
    for (int f : followers) send_all(f, bytes, size);
    log.commit(bytes, size);
    uint8_t answer = 0;
    for (int f : followers)
      if (!receive(f, &answer, 1)) die("a follower ended");
    send_all(client, bytes, 1);
  }
}

// A child that holds only the descriptors in `keep`, so that the end of one process is seen by the others.
pid_t spawn(const std::vector<int>& all, const std::vector<int>& keep, const std::function<void()>& body) {
  const pid_t pid = ::fork();
  if (pid < 0) die("fork");
  if (pid > 0) return pid;
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  for (int fd : all)
    if (std::find(keep.begin(), keep.end(), fd) == keep.end()) ::close(fd);
  body();
  std::_Exit(0);
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"The least that one acks=all write can take here: three processes, one synced write each, no Kafka"};
  std::string parent = ".";
  int rounds = 5000;
  size_t size = 100;
  bool json = false;
  app.add_option("--dir", parent, "on the disk to measure; files are made in a temporary directory below it");
  app.add_option("--rounds", rounds, "writes, one at a time")->check(CLI::Range(1, 10'000'000));
  app.add_option("--size", size, "bytes of a write")->check(CLI::Range(size_t{1}, kBlock));
  app.add_flag("--json", json);
  CLI11_PARSE(app, argc, argv);

  ScratchDirectory directory(parent);
  auto [client, leader] = connection();
  auto [to_first, first] = connection();
  auto [to_second, second] = connection();
  const std::vector<int> all{client, leader, to_first, first, to_second, second};
  const std::array<int, 2> followers{to_first, to_second};
  std::array<int, 3> files{};
  for (size_t i = 0; i < files.size(); ++i) files[i] = open_written(directory.file(fmt::format("log{}", i)), kFileBytes, true);
  const int64_t cpu_before = cpu_ns();
  std::vector<pid_t> children;
  children.push_back(spawn(all, {leader, to_first, to_second}, [&] { lead(files[0], leader, followers, size); }));
  children.push_back(spawn(all, {first}, [&] { follow(files[1], first, size); }));
  children.push_back(spawn(all, {second}, [&] { follow(files[2], second, size); }));
  for (int fd : all)
    if (fd != client) ::close(fd);

  Samples samples;
  uint8_t* bytes = aligned_bytes(size);
  for (int round = -100; round < rounds; ++round) {  // the first hundred warm up
    const int64_t begin = now_ns();
    send_all(client, bytes, size);
    if (!receive(client, bytes, 1)) die("the leader ended");
    if (round >= 0) samples.add(now_ns() - begin);
  }
  ::close(client);
  bool clean = true;
  for (pid_t child : children) {
    int status = 0;
    clean = ::waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0 && clean;
  }
  samples.add_time(0, cpu_ns() - cpu_before);
  const int64_t p50 = samples.percentile(500) / 1000;
  const int64_t p99 = samples.percentile(990) / 1000;
  const int64_t cpu = samples.cpu_per_sample_ns() / 1000;
  if (json)
    fmt::print(R"({{"rounds":{},"p50_us":{},"p99_us":{},"cpu_us":{}}})"
               "\n",
               rounds, p50, p99, cpu);
  else
    fmt::print("one in flight, three processes: p50 {} µs, p99 {} µs, {} µs of CPU (client and all three) in {} rounds\n", p50, p99, cpu,
               rounds);
  return clean ? 0 : 3;
}
