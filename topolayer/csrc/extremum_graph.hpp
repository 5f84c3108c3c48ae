// Persistence of grids from their extremum graph: H0, and by duality the top dimension, H1 in 2D and H2 in 3D. Few pixels
// matter: those that have no earlier neighbor give birth to a component (extrema: maxima of a superlevel filtration), those
// whose earlier neighbors fall into several groups may join components (saddles). All others are stepped over.
// "Earlier" is said of the pixel that enters the filtration first.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

#include "bars.hpp"
#include "grid.hpp"
#include "order.hpp"
#include "union_find.hpp"

namespace topolayer {

// Buffers are kept from one sample to the next.
template <class Value>
class ExtremumGraph {
public:
    void h0(const Value* values, const Grid& grid, bool superlevel, Bars& bars) {
        order_ = {superlevel, false};
        bars.nonfinite = !(superlevel ? classify<true, false>(values, grid) : classify<false, false>(values, grid));
        if (bars.nonfinite) return;
        unite_extrema(values, grid);
        for (const Death& death : deaths_) {
            bars.finite.push_back(extrema_[death.label]);
            bars.finite.push_back(death.saddle);
        }
        bars.essential.push_back(extrema_[components_.root(0)]);  // a grid is connected
    }

    // The top dimension: H0 in the reversed order of values and positions, in which the outside of the grid comes first; what
    // is born there dies here. `dual` has the dual connectivity.
    void top(const Value* values, const Grid& dual, bool superlevel, Bars& bars) {
        if (dual.all_on_border()) {
            bars.nonfinite = !are_finite(values, dual.size());
            return;
        }
        order_ = {!superlevel, true};
        bars.nonfinite = !(superlevel ? classify<false, true>(values, dual) : classify<true, true>(values, dual));
        if (bars.nonfinite) return;
        unite_extrema(values, dual);
        std::sort(deaths_.begin(), deaths_.end(),
                  [this](const Death& a, const Death& b) { return earlier(b.label, a.label); });
        for (const Death& death : deaths_) {
            bars.finite.push_back(death.saddle);
            bars.finite.push_back(extrema_[death.label]);
        }
    }

private:
    using Word = Key<Value>;  // as wide as a value, so that the comparisons vectorize
    using Link = Grid::Link;
    using Position = std::uint32_t;
    using Label = UnionFind::Element;

    struct Saddle {
        Position position;
        Link representatives;
    };
    struct Arc {
        Key<Value> key;  // of the saddle
        Position saddle;
        Label a, b;
    };
    struct Death {
        Label label;
        Position saddle;
    };
    // By value, then position. With `reversed` positions count backwards, and the outside of the grid comes before all.
    struct Order {
        bool descending, reversed;
    };

    // Finds each pixel's direction towards an earlier neighbor, the extrema and the saddles. False if a value is not finite.
    template <bool descending, bool reversed>
    bool classify(const Value* values, const Grid& grid) {
        const auto [depth, height, width] = grid.shape();
        direction_.resize(grid.size());
        earlier_.resize(width);
        std::size_t extrema = 0, saddles = 0;
        bool all_finite = true;
        for (std::int64_t z = 0; z < depth; ++z)
            for (std::int64_t y = 0; y < height; ++y) {
                const std::int64_t first = (z * height + y) * width;
                mark_row<descending, reversed>(values, grid, z, y);
                all_finite &= are_finite(values + first, width);
                if (extrema_.size() < extrema + width) extrema_.resize(2 * (extrema + width));
                if (saddles_.size() < saddles + width) saddles_.resize(2 * (saddles + width));
                for (std::int64_t x = 0; x < width; ++x) {  // no branches: in noise they could not be predicted
                    const auto position = static_cast<Position>(first + x);
                    const Link representatives = grid.representatives(static_cast<Link>(earlier_[x]));
                    direction_[position] =
                        static_cast<std::uint8_t>(std::countr_zero(representatives | Link{1} << Grid::no_direction));
                    extrema_[extrema] = position;
                    extrema += representatives == 0;
                    saddles_[saddles] = {position, representatives};
                    saddles += (representatives & (representatives - 1)) != 0;
                }
                if constexpr (reversed) {
                    const bool edge = y == 0 || y == height - 1 || (depth > 1 && (z == 0 || z == depth - 1));
                    if (edge) std::fill_n(&direction_[first], width, Grid::outwards);
                    direction_[first] = direction_[first + width - 1] = Grid::outwards;
                }
            }
        extrema_count_ = extrema;
        saddle_count_ = saddles;
        return all_finite;
    }

    // Fills `earlier_` with the earlier members of the links of a row.
    template <bool descending, bool reversed>
    void mark_row(const Value* values, const Grid& grid, std::int64_t z, std::int64_t y) {
        const auto [depth, height, width] = grid.shape();
        std::fill(earlier_.begin(), earlier_.end(), Word{0});
        for (std::size_t i = 0; i < grid.neighbors().size(); ++i) {
            const Grid::Neighbor& n = grid.neighbors()[i];
            const Word bit = Word{1} << i;
            if (!grid.contains(z + n.dz, y + n.dy, 0)) {
                if (reversed)
                    for (Word& earlier : earlier_) earlier |= bit;
                continue;
            }
            if (reversed && n.dx != 0) earlier_[n.dx < 0 ? 0 : width - 1] |= bit;
            const std::int64_t begin = n.dx < 0, end = width - (n.dx > 0);
            const Value* here = values + (z * height + y) * width + begin;
            // Among equal values the earlier position comes first, or the later one.
            if ((n.step < 0) != reversed)
                mark<descending, true>(here, here + n.step, bit, &earlier_[begin], end - begin);
            else
                mark<descending, false>(here, here + n.step, bit, &earlier_[begin], end - begin);
        }
    }

    template <bool descending, bool or_equal>
    static void mark(const Value* __restrict here, const Value* __restrict there, Word bit, Word* __restrict earlier,
                     std::int64_t count) {
        for (std::int64_t x = 0; x < count; ++x) {
            const bool strictly = descending ? there[x] > here[x] : there[x] < here[x];
            const bool weakly = descending ? there[x] >= here[x] : there[x] <= here[x];
            earlier[x] |= (or_equal ? weakly : strictly) ? bit : Word{0};
        }
    }

    void unite_extrema(const Value* values, const Grid& grid) {
        label_extrema(values, grid);
        find_arcs(values, grid);
        sort_arcs();
        unite();
    }

    // Extrema are labelled in C order; the label of a position is the number of extrema before it: a bit per pixel and a
    // count per word of bits stay in the cache where a label per pixel would not.
    void label_extrema(const Value* values, const Grid& grid) {
        const std::size_t words = grid.size() / 64 + 1;
        is_extremum_.assign(words, 0);
        labels_before_.resize(words);
        birth_key_.resize(extrema_count_);
        for (std::size_t label = 0; label < extrema_count_; ++label) {
            const Position position = extrema_[label];
            is_extremum_[position / 64] |= std::uint64_t{1} << position % 64;
            birth_key_[label] = order_key(values[position], order_.descending);
        }
        Label before = 0;
        for (std::size_t word = 0; word < words; ++word) {
            labels_before_[word] = before;
            before += static_cast<Label>(std::popcount(is_extremum_[word]));
        }
        far_label_.clear();
    }

    Label label_at(Position extremum) const {
        const std::uint64_t before = is_extremum_[extremum / 64] & ((std::uint64_t{1} << extremum % 64) - 1);
        return labels_before_[extremum / 64] + static_cast<Label>(std::popcount(before));
    }

    // The extremum that is reached by going to earlier neighbors. Most walks are short; what a long one finds out is kept, so
    // that no pixel is walked over again and again.
    Label extremum_from(Position position, const Grid& grid) {
        for (int steps = 0; steps < 32; ++steps) {
            const unsigned direction = direction_[position];
            if (direction == Grid::no_direction) return label_at(position);
            if (direction == Grid::outwards) return outside();
            position += static_cast<Position>(grid.step(direction));
        }
        if (far_label_.empty()) far_label_.assign(grid.size(), unknown);
        path_.clear();
        Label label = far_label_[position];
        while (label == unknown) {
            path_.push_back(position);
            const unsigned direction = direction_[position];
            if (direction == Grid::no_direction) {
                label = label_at(position);
            } else if (direction == Grid::outwards) {
                label = outside();
            } else {
                position += static_cast<Position>(grid.step(direction));
                label = far_label_[position];
            }
        }
        for (const Position passed : path_) far_label_[passed] = label;
        return label;
    }

    void find_arcs(const Value* values, const Grid& grid) {
        arcs_.clear();
        for (std::size_t i = 0; i < saddle_count_; ++i) {
            auto [position, rest] = saddles_[i];
            const auto next_extremum = [&] {
                const unsigned direction = std::countr_zero(rest);
                rest &= rest - 1;
                if (direction_[position] == Grid::outwards && grid.leaves(position, direction)) return outside();
                return extremum_from(position + static_cast<Position>(grid.step(direction)), grid);
            };
            const Label a = next_extremum();
            while (rest) {
                const Label b = next_extremum();
                if (a != b) arcs_.push_back({order_key(values[position], order_.descending), position, a, b});
            }
        }
    }

    // By key, then position: they come in the order of positions, and the sort is stable. Least significant digits first.
    void sort_arcs() {
        if (order_.reversed) std::reverse(arcs_.begin(), arcs_.end());
        constexpr int digit_bits = 11, digits = 1 << digit_bits;
        if (arcs_.size() < 2 * digits) {
            std::stable_sort(arcs_.begin(), arcs_.end(), [](const Arc& a, const Arc& b) { return a.key < b.key; });
            return;
        }
        sorted_.resize(arcs_.size());
        for (int shift = 0; shift < std::numeric_limits<Key<Value>>::digits; shift += digit_bits) {
            std::array<std::size_t, digits> next{};
            for (const Arc& arc : arcs_) ++next[(arc.key >> shift) % digits];
            std::size_t before = 0;
            for (std::size_t& place : next) before += std::exchange(place, before);
            for (const Arc& arc : arcs_) sorted_[next[(arc.key >> shift) % digits]++] = arc;
            arcs_.swap(sorted_);
        }
    }

    // The label of the outside, which comes before all extrema; there is one with `reversed` orders only.
    Label outside() const { return static_cast<Label>(extrema_count_); }

    bool earlier(Label a, Label b) const {
        if (a == outside() || b == outside()) return a == outside();
        if (birth_key_[a] != birth_key_[b]) return birth_key_[a] < birth_key_[b];
        return (a < b) != order_.reversed;
    }

    // Goes through the arcs and lists the bars of length > 0: by death, then birth.
    void unite() {
        components_.reset(extrema_count_ + 1);
        deaths_.clear();
        for (auto arc = arcs_.begin(); arc != arcs_.end();) {
            const Position saddle = arc->saddle;
            const std::size_t first = deaths_.size();
            for (; arc != arcs_.end() && arc->saddle == saddle; ++arc) {
                Label older = components_.root(arc->a), younger = components_.root(arc->b);
                if (older == younger) continue;
                if (earlier(younger, older)) std::swap(older, younger);
                components_.attach(younger, older);
                if (birth_key_[younger] != arc->key) deaths_.push_back({younger, saddle});
            }
            if (deaths_.size() > first + 1)
                std::sort(deaths_.begin() + static_cast<std::ptrdiff_t>(first), deaths_.end(),
                          [this](const Death& a, const Death& b) { return earlier(a.label, b.label); });
        }
    }

    static constexpr Label unknown = std::numeric_limits<Label>::max();

    Order order_{};
    std::vector<Word> earlier_;  // of one row
    std::vector<std::uint8_t> direction_;
    std::vector<Position> extrema_;  // in C order, the first extrema_count_
    std::vector<Saddle> saddles_;    // in C order, the first saddle_count_
    std::size_t extrema_count_ = 0, saddle_count_ = 0;
    std::vector<std::uint64_t> is_extremum_;
    std::vector<Label> labels_before_;
    std::vector<Key<Value>> birth_key_;
    std::vector<Label> far_label_;
    std::vector<Position> path_;
    std::vector<Arc> arcs_, sorted_;
    UnionFind components_;
    std::vector<Death> deaths_;
};

}  // namespace topolayer
