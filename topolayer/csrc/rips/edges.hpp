// The edges of a Vietoris-Rips filtration, in the order in which they enter.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "common/buffer.hpp"
#include "common/sort.hpp"
#include "common/values.hpp"
#include "rips/distances.hpp"

namespace topolayer {

using Point = std::uint32_t;
inline constexpr std::int64_t most_points_of_loops = std::int64_t{1} << 16;  // two of them share an index

// By the key of its length, and of equal keys by its index, which is made of its ends i < j and ordered like the positions of
// the entries (i, j).
template <class Value>
using Edge = Keyed<Key<Value>>;

template <class Key>
Keyed<Key> edge_of(Key length, std::int64_t a, std::int64_t b) {
    return {length, static_cast<std::uint32_t>(std::min(a, b) << 16 | std::max(a, b))};
}
template <class Key>
Point first_end(const Keyed<Key>& edge) {
    return edge.index >> 16;
}
template <class Key>
Point second_end(const Keyed<Key>& edge) {
    return edge.index & 0xffff;
}
template <class Key>
bool enters_before(const Keyed<Key>& a, const Keyed<Key>& b) {
    return a.key != b.key ? a.key < b.key : a.index < b.index;
}

// Those up to a length. They are distributed over buckets, and a bucket is sorted when its turn comes: most computations end
// long before the last.
template <class Value>
class EdgesInOrder {
public:
    void begin(const KeyMatrix<Value>& matrix, Key<Value> longest) {
        const std::int64_t points = matrix.points();
        const auto count = static_cast<std::size_t>(points * (points - 1) / 2);
        Key<Value> least = longest;
        for_each_row(matrix, [&](std::int64_t, const Key<Value>* row, std::int64_t first) {
            for (std::int64_t j = first; j < points; ++j) least = std::min(least, row[j]);
        });
        const std::size_t wanted = std::clamp<std::size_t>(count / edges_per_bucket, 1, most_buckets);
        const int shift = std::max(0, static_cast<int>(std::bit_width(static_cast<Key<Value>>(longest - least))) -
                                          static_cast<int>(std::bit_width(wanted)));
        const auto buckets = static_cast<std::size_t>((longest - least) >> shift) + 1;
        const auto bucket_of = [&](Key<Value> length) {  // those that are longer come into one more
            return length > longest ? buckets : static_cast<std::size_t>((length - least) >> shift);
        };
        ends_.assign(buckets + 1, 0);
        for_each_row(matrix, [&](std::int64_t, const Key<Value>* row, std::int64_t first) {
            for (std::int64_t j = first; j < points; ++j) ++ends_[bucket_of(row[j])];
        });
        std::uint32_t before = 0;
        for (std::uint32_t& end : ends_) before += std::exchange(end, before);
        edges_.renew(count);
        for_each_row(matrix, [&](std::int64_t i, const Key<Value>* row, std::int64_t first) {
            for (std::int64_t j = first; j < points; ++j) edges_[ends_[bucket_of(row[j])]++] = edge_of(row[j], i, j);
        });
        ends_.pop_back();
        bucket_ = 0;
    }

    // The next edges, until there are none.
    const Buffer<Edge<Value>>& next() {
        sorted_.clear();
        while (bucket_ < ends_.size() && sorted_.size() == 0) {
            const std::size_t first = bucket_ == 0 ? 0 : ends_[bucket_ - 1], end = ends_[bucket_];
            sorted_.renew(end - first);
            std::copy(edges_.begin() + first, edges_.begin() + end, sorted_.begin());
            ++bucket_;
        }
        if (sorted_.size() > 0) sort_by_key(sorted_, spare_);
        return sorted_;
    }

    std::size_t bytes() const {
        return edges_.bytes() + sorted_.bytes() + spare_.bytes() + ends_.capacity() * sizeof(std::uint32_t);
    }

private:
    // Calls visit(i, row i, i + 1): the entries from i + 1 on are edges.
    template <class Visit>
    static void for_each_row(const KeyMatrix<Value>& matrix, Visit visit) {
        for (std::int64_t i = 0; i < matrix.points(); ++i) visit(i, matrix.row(i), i + 1);
    }

    static constexpr std::size_t edges_per_bucket = 1024, most_buckets = 4096;

    Buffer<Edge<Value>> edges_, sorted_, spare_;
    std::vector<std::uint32_t> ends_;  // of the buckets
    std::size_t bucket_ = 0;
};

}  // namespace topolayer
