#include "src/experiment/measure/orders.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "src/base/counter_random.h"

namespace attention {
namespace {

constexpr uint64_t kOrderStream = 6;
constexpr uint64_t kCellStream = 7;
// 12! fits 32 bits, so that its square fits 64.
constexpr int kMostRanked = 12;

uint64_t StreamOf(uint64_t order_seed, OrderOf what, const std::string& cell) {
  uint64_t stream = RandomBits(order_seed, kOrderStream, static_cast<uint64_t>(what));
  for (char c : cell) stream = RandomBits(stream, kOrderStream, static_cast<unsigned char>(c));
  return stream;
}

int64_t FloorDivide(int64_t a, int64_t b) { return a / b - (a % b < 0 ? 1 : 0); }

uint64_t Factorial(int n) {
  uint64_t product = 1;
  for (int i = 2; i <= n; ++i) product *= static_cast<uint64_t>(i);
  return product;
}

// Permutation number `rank` of `items` in the factorial number system.
std::vector<int> Unrank(std::vector<int> items, uint64_t rank) {
  std::vector<int> order;
  while (!items.empty()) {
    const uint64_t choices = items.size();
    const auto chosen = items.begin() + static_cast<int64_t>(rank % choices);
    rank /= choices;
    order.push_back(*chosen);
    items.erase(chosen);
  }
  return order;
}

}  // namespace

// Permutations fall into classes that differ by rotation only: count members, (count - 1)! classes. A
// block of `count` indices walks through one class; classes follow each other in steps that meet all of them.
std::vector<int> BalancedOrder(int count, uint64_t order_seed, OrderOf what, const std::string& cell,
                               int64_t index) {
  if (count <= 0) return {};
  const uint64_t stream = StreamOf(order_seed, what, cell);
  const uint64_t classes = Factorial(std::min(count - 1, kMostRanked));
  uint64_t step = 1 + RandomBits(stream, kOrderStream, 1) % classes;
  while (std::gcd(step, classes) != 1) ++step;
  const int64_t block = FloorDivide(index, count);
  const auto first = static_cast<int64_t>(RandomBits(stream, kOrderStream, 3) % static_cast<uint64_t>(count));
  const int64_t rotation = (index - block * count + first) % count;
  const int64_t steps = block % static_cast<int64_t>(classes) + static_cast<int64_t>(classes);
  const uint64_t start = RandomBits(stream, kOrderStream, 2) % classes;
  const uint64_t number = (start + static_cast<uint64_t>(steps) % classes * (step % classes)) % classes;
  std::vector<int> others(static_cast<size_t>(count) - 1);
  std::iota(others.begin(), others.end(), 1);
  std::vector<int> order = Unrank(std::move(others), number);
  order.insert(order.begin(), 0);
  std::rotate(order.begin(), order.begin() + rotation, order.end());
  return order;
}

std::vector<size_t> CellOrder(size_t count, uint64_t order_seed, int launch) {
  std::vector<size_t> order(count);
  std::iota(order.begin(), order.end(), size_t{0});
  const uint64_t stream = RandomBits(order_seed, kCellStream, static_cast<uint64_t>(launch));
  for (size_t i = count; i > 1; --i) {
    std::swap(order[i - 1], order[RandomBits(stream, kCellStream, i) % i]);
  }
  return order;
}

}  // namespace attention
