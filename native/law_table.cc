// The tables of the law, handed over once by JavaScript and shared by all threads.
#include "law_table.h"

#include <atomic>
#include <cstring>
#include <mutex>

namespace brownian {
namespace {

LawTable law;
std::once_flag once;
std::atomic<bool> ready{false};

}  // namespace

void set_law(const float* tails, const uint32_t* hits, const int8_t* alias) {
  static_assert(sizeof(law.tails) == kTails * sizeof(float) && sizeof(law.hits) == kHits * sizeof(uint32_t) && sizeof(law.alias) == kAlias,
                "the tables have the sizes of the contract");
  std::call_once(once, [&] {
    memcpy(law.tails, tails, sizeof(law.tails));
    memcpy(law.hits, hits, sizeof(law.hits));
    memcpy(law.alias, alias, sizeof(law.alias));
    for (int row = 0; row < kLawRows; row++) {
      int& columns = law.columns[row];
      for (columns = 0; columns < kLawColumns && law.tails[row * kLawColumns + columns] != 0.0f;) columns++;
      for (int column = 0; column < kLawColumns; column++) law.columns_of_tails[column][row] = law.tails[row * kLawColumns + column];
    }
    ready = true;
  });
}

const LawTable* law_table() { return ready ? &law : nullptr; }

}  // namespace brownian
