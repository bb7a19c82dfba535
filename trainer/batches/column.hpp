// Values that never change, owned or inside a mapped file. Copies share them. Thread: reading from any.
#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>
#include <span>
#include <utility>
#include <vector>

namespace fathom::trainer {

template <class T>
class Column {
 public:
  Column() = default;
  Column(std::vector<T> values) {  // NOLINT: implicit on purpose
    const auto owned = std::make_shared<const std::vector<T>>(std::move(values));
    view_ = *owned;
    owner_ = owned;
  }
  // `owner` keeps what `view` points into.
  Column(std::span<const T> view, std::shared_ptr<const void> owner) : owner_(std::move(owner)), view_(view) {}

  [[nodiscard]] const T* data() const { return view_.data(); }
  [[nodiscard]] std::size_t size() const { return view_.size(); }
  [[nodiscard]] bool empty() const { return view_.empty(); }
  [[nodiscard]] const T& operator[](std::size_t i) const { return view_[i]; }
  [[nodiscard]] const T& back() const { return view_.back(); }
  [[nodiscard]] auto begin() const { return view_.begin(); }
  [[nodiscard]] auto end() const { return view_.end(); }
  [[nodiscard]] std::span<const T> span() const { return view_; }
  friend bool operator==(const Column& a, const Column& b) { return std::ranges::equal(a.view_, b.view_); }

 private:
  std::shared_ptr<const void> owner_;
  std::span<const T> view_;
};

}  // namespace fathom::trainer
