// Sorting by keys that are unsigned integers.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

#include "common/buffer.hpp"

namespace topolayer {

template <class Key>
struct Keyed {
    Key key;
    std::uint32_t index;
};

// Sorts by key, from the least significant digit to the most; see sort_by_key.
template <int digit_bits, class Key>
void sort_by_digits(Buffer<Keyed<Key>>& entries, Buffer<Keyed<Key>>& spare) {
    constexpr int bits = 8 * sizeof(Key), digits = (bits + digit_bits - 1) / digit_bits;
    constexpr std::size_t radix = std::size_t{1} << digit_bits;
    const auto digit = [](Key key, int place) { return static_cast<std::size_t>(key >> place * digit_bits) % radix; };
    const auto counts = std::make_unique<std::array<std::array<std::uint32_t, radix>, digits>>();
    for (const auto& entry : entries)
        for (int place = 0; place < digits; ++place) ++(*counts)[place][digit(entry.key, place)];
    spare.renew(entries.size());
    for (int place = 0; place < digits; ++place) {
        auto& next = (*counts)[place];
        if (next[digit(entries[0].key, place)] == entries.size()) continue;  // all the same
        std::uint32_t before = 0;
        for (std::uint32_t& start : next) before += std::exchange(start, before);
        for (const auto& entry : entries) spare[next[digit(entry.key, place)]++] = entry;
        entries.swap(spare);
    }
}

// Sorts by key. Equal keys keep their order; `spare` holds what is in between.
template <class Key>
void sort_by_key(Buffer<Keyed<Key>>& entries, Buffer<Keyed<Key>>& spare) {
    if (entries.size() < 128)
        std::stable_sort(entries.begin(), entries.end(), [](const auto& a, const auto& b) { return a.key < b.key; });
    else if (entries.size() < 4096)  // fewer digits would take longer to count than to sort by
        sort_by_digits<8>(entries, spare);
    else
        sort_by_digits<11>(entries, spare);
}

}  // namespace topolayer
