// The matrix of distances as the algorithms read it.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "common/buffer.hpp"
#include "common/values.hpp"

namespace topolayer {

// The keys of a symmetric matrix, from its entries (i, j), i < j: rows are read at once, columns never, and integers have
// minima that compilers find in vectors. What stands on the diagonal comes before all else.
template <class Value>
class KeyMatrix {
public:
    // Whether the entries are finite; the matrix is of no use if not.
    bool read(const Value* distances, std::int64_t points) {
        points_ = points;
        keys_.renew(static_cast<std::size_t>(points * points));
        bool finite = true;
        constexpr std::int64_t side = 32;  // of blocks that stay in the cache together with those across the diagonal
        for (std::int64_t top = 0; top < points; top += side) {
            const std::int64_t bottom = std::min(top + side, points);
            for (std::int64_t left = top; left < points; left += side) {
                const std::int64_t right = std::min(left + side, points);
                for (std::int64_t i = top; i < bottom; ++i) {
                    const std::int64_t first = std::max(left, i + 1);
                    if (first >= right) continue;
                    finite &= are_finite(distances + i * points + first, right - first);
                    Key<Value>* const row = &keys_[i * points];
                    for (std::int64_t j = first; j < right; ++j) row[j] = order_key(distances[i * points + j], false);
                }
                for (std::int64_t j = left; j < right; ++j)
                    for (std::int64_t i = top; i < std::min(bottom, j); ++i) keys_[j * points + i] = keys_[i * points + j];
            }
        }
        for (std::int64_t i = 0; i < points; ++i) keys_[i * points + i] = 0;
        return finite;
    }

    std::int64_t points() const { return points_; }
    const Key<Value>* row(std::int64_t point) const { return &keys_[point * points_]; }
    std::size_t bytes() const { return keys_.bytes(); }

private:
    std::int64_t points_ = 0;
    Buffer<Key<Value>> keys_;
};

template <class Key>
Key largest(const Key* keys, std::int64_t count) {
    Key result = keys[0];
    for (std::int64_t i = 0; i < count; ++i) result = std::max(result, keys[i]);
    return result;
}

// The least of the larger ones of two keys at one place.
template <class Key>
Key least_maximum(const Key* first, const Key* second, std::int64_t count) {
    Key result = std::max(first[0], second[0]);
    for (std::int64_t i = 0; i < count; ++i) result = std::min(result, std::max(first[i], second[i]));
    return result;
}

}  // namespace topolayer
