// A file of its own below the system's temporary directory, with what a test wants to stand in it; gone at the end of the scope.
#pragma once

#include <doctest/doctest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

namespace sg::test {

class TempFile {
 public:
  explicit TempFile(std::string_view content) : path_((std::filesystem::temp_directory_path() / "stormglass-test-XXXXXX.toml").string()) {
    int file = ::mkstemps(path_.data(), 5);
    REQUIRE(file >= 0);
    ::close(file);
    std::ofstream(path_) << content;
  }
  TempFile(const TempFile&) = delete;
  TempFile& operator=(const TempFile&) = delete;
  ~TempFile() { std::filesystem::remove(path_); }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace sg::test
