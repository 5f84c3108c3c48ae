// The links of pixels: which of their neighbors enter the filtration before them.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
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
          following_(sides(grid.neighborhood(), true)),
          preceding_(sides(grid.neighborhood(), false)),
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

    // The neighbors of a pixel in one row, which are compared together: so its value and its link are loaded once for all of them.
    struct Side {
        std::int64_t dz, dy;
        std::size_t count = 0;
        std::array<std::int64_t, 3> dx;
        std::array<Mask, 3> bits, opposites;
    };

    // Those that follow, or all others.
    static std::vector<Side> sides(const Neighborhood& neighborhood, bool following) {
        std::vector<Side> result;
        const auto neighbors = neighborhood.neighbors();
        for (unsigned i = 0; i < neighbors.size(); ++i) {
            const auto& n = neighbors[i];
            if (follows(n) != following) continue;
            auto side = std::find_if(result.begin(), result.end(), [&](const Side& s) { return s.dz == n.dz && s.dy == n.dy; });
            if (side == result.end()) side = result.insert(result.end(), Side{n.dz, n.dy, 0, {}, {}, {}});
            side->dx[side->count] = n.dx;
            side->bits[side->count] = static_cast<Mask>(Mask{1} << i);
            side->opposites[side->count++] = static_cast<Mask>(Mask{1} << neighborhood.opposite(i));
        }
        return result;
    }

    bool reaches(std::int64_t row, const Side& side) const {
        return grid_.contains(row / height_ + side.dz, row % height_ + side.dy, 0);
    }

    void compare_with_following(std::int64_t row) {
        std::fill_n(kept(row), width_, Mask{0});
        for (const Side& side : following_) {
            if (!reaches(row, side)) continue;
            const Value* const here = values_ + row * width_;
            const Value* const there = here + (side.dz * height_ + side.dy) * width_;
            switch (superlevel_ ? side.count + 3 : side.count) {
                case 1: mark<false, 1>(side, here, there, kept(row)); break;
                case 2: mark<false, 2>(side, here, there, kept(row)); break;
                case 3: mark<false, 3>(side, here, there, kept(row)); break;
                case 4: mark<true, 1>(side, here, there, kept(row)); break;
                case 5: mark<true, 2>(side, here, there, kept(row)); break;
                case 6: mark<true, 3>(side, here, there, kept(row)); break;
            }
        }
    }

    // Equal values enter in the order of their positions.
    template <bool superlevel>
    static bool is_earlier(Value there, Value here) {
        return superlevel ? there > here : there < here;
    }

    template <bool superlevel, std::size_t count>
    void mark(const Side& side, const Value* __restrict here, const Value* __restrict there, Mask* __restrict earlier) const {
        const auto dx = side.dx;
        const auto bits = side.bits;
        for (const std::int64_t x : {std::int64_t{0}, width_ - 1})  // where some of them lie outside
            for (std::size_t k = 0; k < count; ++k)
                if (0 <= x + dx[k] && x + dx[k] < width_ && is_earlier<superlevel>(there[x + dx[k]], here[x]))
                    earlier[x] |= bits[k];
        for (std::int64_t x = 1; x < width_ - 1; ++x) {
            Mask link = earlier[x];
            for (std::size_t k = 0; k < count; ++k)
                link |= is_earlier<superlevel>(there[x + dx[k]], here[x]) ? bits[k] : Mask{0};
            earlier[x] = link;
        }
    }

    void compare_with_preceding(std::int64_t row, Mask* links) {
        std::copy_n(kept(row), width_, links);
        for (const Side& side : preceding_) {
            if (!reaches(row, side)) continue;
            const Mask* const there = kept(row + side.dz * height_ + side.dy);
            switch (side.count) {
                case 1: mark_opposites<1>(side, there, links); break;
                case 2: mark_opposites<2>(side, there, links); break;
                case 3: mark_opposites<3>(side, there, links); break;
            }
        }
    }

    template <std::size_t count>
    void mark_opposites(const Side& side, const Mask* __restrict there, Mask* __restrict links) const {
        const auto dx = side.dx;
        const auto bits = side.bits, opposites = side.opposites;
        for (std::int64_t x = 0; x < width_; ++x) {
            Mask link = links[x];
            for (std::size_t k = 0; k < count; ++k) link |= (there[x + dx[k]] & opposites[k]) == 0 ? bits[k] : Mask{0};
            links[x] = link;
        }
    }

    const Value* values_;
    bool superlevel_;
    const Grid& grid_;
    std::int64_t height_, width_, rows_kept_;
    std::vector<Side> following_, preceding_;
    std::vector<Mask> kept_;  // of the last rows: which of the neighbors that follow are earlier
};

}  // namespace topolayer
