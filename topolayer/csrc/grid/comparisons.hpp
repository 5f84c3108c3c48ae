// The links of pixels: which of their neighbors enter the filtration before them.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "common/sample.hpp"
#include "grid/grid.hpp"
#include "grid/neighborhood.hpp"

namespace topolayer {

// Mask: a link, in as few bits as it needs. The bits of the neighbors that follow in C order come from comparisons, the others
// from theirs, for a pixel is earlier than the one that is not earlier than it. What lies outside of the grid is later.
template <class Value, class Mask>
class Comparisons {
public:
    // For rows from `begin` on.
    Comparisons(const Sample<Value>& sample, const Grid& grid, std::int64_t begin)
        : values_(sample.values),
          superlevel_(sample.superlevel),
          grid_(grid),
          height_(grid.shape()[1]),
          width_(grid.shape()[2]),
          rows_kept_(1 + (grid.shape()[0] > 1 ? height_ + 1 : height_ > 1)),
          // Beside a row, all neighbors are later.
          kept_(static_cast<std::size_t>(rows_kept_ * (width_ + 2)), static_cast<Mask>(~Mask{0})) {
        for (std::int64_t row = std::max<std::int64_t>(0, begin - rows_kept_ + 1); row < begin; ++row)
            compare_with_following(row);
    }

    // Rows have to come one after another.
    void find_links(std::int64_t row, Mask* links) {
        compare_with_following(row);
        compare_with_preceding(row, links);
    }

private:
    Mask* kept(std::int64_t row) { return kept_.data() + row % rows_kept_ * (width_ + 2) + 1; }

    static bool follows(const Neighborhood::Neighbor& n) {
        return n.dz != 0 ? n.dz > 0 : n.dy != 0 ? n.dy > 0 : n.dx > 0;
    }

    bool reaches(std::int64_t row, const Neighborhood::Neighbor& n) const {
        return grid_.contains(row / height_ + n.dz, row % height_ + n.dy, 0);
    }

    void compare_with_following(std::int64_t row) {
        const auto neighbors = grid_.neighbors();
        Mask* earlier = kept(row);
        std::fill_n(earlier, width_, Mask{0});
        for (unsigned i = 0; i < neighbors.size(); ++i) {
            const auto& n = neighbors[i];
            if (!follows(n) || !reaches(row, n)) continue;
            const std::int64_t begin = n.dx < 0, count = width_ - std::abs(n.dx);
            const Value* here = values_ + row * width_ + begin;
            const auto bit = static_cast<Mask>(Mask{1} << i);
            if (superlevel_)
                mark<true>(here, here + grid_.step(i), bit, earlier + begin, count);
            else
                mark<false>(here, here + grid_.step(i), bit, earlier + begin, count);
        }
    }

    // Of equal values the one that follows is later.
    template <bool superlevel>
    static void mark(const Value* __restrict here, const Value* __restrict there, Mask bit, Mask* __restrict earlier,
                     std::int64_t count) {
        for (std::int64_t x = 0; x < count; ++x)
            earlier[x] |= (superlevel ? there[x] > here[x] : there[x] < here[x]) ? bit : Mask{0};
    }

    void compare_with_preceding(std::int64_t row, Mask* __restrict links) {
        const auto neighbors = grid_.neighbors();
        std::copy_n(kept(row), width_, links);
        for (unsigned i = 0; i < neighbors.size(); ++i) {
            const auto& n = neighbors[i];
            if (follows(n) || !reaches(row, n)) continue;
            const Mask* __restrict there = kept(row + n.dz * height_ + n.dy) + n.dx;
            const auto bit = static_cast<Mask>(Mask{1} << i);
            const auto opposite = static_cast<Mask>(Mask{1} << grid_.neighborhood().opposite(i));
            for (std::int64_t x = 0; x < width_; ++x) links[x] |= (there[x] & opposite) == 0 ? bit : Mask{0};
        }
    }

    const Value* values_;
    bool superlevel_;
    const Grid& grid_;
    std::int64_t height_, width_, rows_kept_;
    std::vector<Mask> kept_;  // of the last rows: which of the neighbors that follow are earlier
};

}  // namespace topolayer
