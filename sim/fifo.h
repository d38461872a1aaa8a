// A queue in one vector: no allocation once it has grown to its working size, unlike std::deque.
#pragma once

#include <cstddef>
#include <utility>
#include <vector>

#include "base/ensure.h"

namespace sg::sim {

template <class T>
class Fifo {
 public:
  bool empty() const { return head_ == items_.size(); }
  size_t size() const { return items_.size() - head_; }
  T& front() { return items_[head_]; }
  T& operator[](size_t i) { return items_[head_ + i]; }
  void push(T value) {
    if (head_ > 16 && head_ * 2 > items_.size()) {
      items_.erase(items_.begin(), items_.begin() + static_cast<std::ptrdiff_t>(head_));
      head_ = 0;
    }
    items_.push_back(std::move(value));
  }
  T pop() {
    ENSURE(!empty());
    T value = std::move(items_[head_++]);
    if (head_ == items_.size()) clear();
    return value;
  }
  void clear() {
    items_.clear();
    head_ = 0;
  }

 private:
  std::vector<T> items_;
  size_t head_ = 0;
};

}  // namespace sg::sim
