// Induced matchings of the loops of two volumes, with the bars of both.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <tuple>
#include <utility>
#include <vector>

#include "common/bars.hpp"
#include "common/matching.hpp"
#include "common/sample.hpp"
#include "common/values.hpp"
#include "grid/grid.hpp"
#include "grid/image_loops.hpp"
#include "grid/loops.hpp"
#include "grid/merging.hpp"
#include "grid/tie_breaking.hpp"
#include "grid/volume.hpp"

namespace topolayer {

// Buffers are kept from one call to the next.
template <class Value, class Kind>
class LoopMatching {
public:
    Volume<Value, Kind> first, second, both;

    // Of these volumes, which have been scanned for loops. `of_both` is the comparison of the two, and `dual` that of the grid.
    void operator()(const Sample<Value>& of_first, const Sample<Value>& of_second, const Sample<Value>& of_both,
                    Comparison comparison, const Grid& grid, const Grid& dual, Merging<Value>& merging, MatchedBars& found) {
        const bool reversed = grid.connectivity() == Connectivity::top_cells;
        const Function other{of_both, of_both, both.loops};
        prepare(both, of_both, grid, dual, merging);
        std::vector<Via> vias[2];
        for (int i = 0; i < 2; ++i) {
            const Sample<Value>& sample = i == 0 ? of_first : of_second;
            Volume<Value, Kind>& volume = i == 0 ? first : second;
            const Function one{sample, sample, volume.loops};
            prepare(volume, sample, grid, dual, merging);
            // A union comes early, but late in the reversed order.
            const bool by_faces = (comparison == Comparison::union_) != reversed;
            image_(one, one, grid, reversed, own_);
            find_images(by_faces ? one : other, by_faces ? other : one, grid, dual, reversed, merging);
            list(sample, reversed, i == 0 ? found.first : found.second);
            find_vias(by_faces, vias[i]);
        }
        join(vias[0], vias[1], found.pairs);
    }

    std::size_t bytes() const {
        return first.bytes() + second.bytes() + both.bytes() + rows_.bytes() + columns_.bytes() + image_.bytes() + ties_.bytes();
    }

private:
    using Function = typename ImageLoops<Value, Kind>::Function;

    // A bar at the cell of the comparison through which it is matched.
    struct Via {
        LoopCell cell;
        std::int64_t bar;
    };

    static void prepare(Volume<Value, Kind>& volume, const Sample<Value>& sample, const Grid& grid, const Grid& dual,
                        Merging<Value>& merging) {
        volume.mark_edges();
        volume.find_filling_faces(sample, grid, dual, merging);
    }

    void find_images(const Function& rows, const Function& columns, const Grid& grid, const Grid& dual, bool reversed,
                     Merging<Value>& merging) {
        using Order = typename TieBreaking<Value>::Order;
        const auto orders = ties_(rows.sample, columns.sample, grid, reversed);
        const bool rows_replaced = orders.rows == Order::replaced, columns_replaced = orders.columns == Order::replaced;
        const Sample<Value> of_rows = ties_.rows(rows.sample, reversed), of_columns = ties_.columns(columns.sample, reversed);
        if (rows_replaced) {
            rows_.scan(of_rows, grid, dual, true, false);
            rows_.mark_edges();
        }
        if (columns_replaced) {
            columns_.scan(of_columns, grid, dual, true, false);
            prepare(columns_, of_columns, grid, dual, merging);
        }
        const Function replaced_rows{rows.sample, of_rows, rows_.loops};
        const Function replaced_columns{columns.sample, of_columns, columns_.loops};
        const Function& row_order = rows_replaced ? replaced_rows : rows;
        const Function& column_order = columns_replaced ? replaced_columns : columns;
        const Function& by_row = orders.rows == Order::other ? column_order : row_order;
        const Function& by_column = orders.columns == Order::other ? row_order : column_order;
        image_({rows.sample, by_row.ordered, by_row.loops}, {columns.sample, by_column.ordered, by_column.loops}, grid, reversed,
               images_);
    }

    // By death, then birth. What is an edge in the reversed order is a face in the filtration.
    void list(const Sample<Value>& sample, bool reversed, Bars& bars) {
        const auto key = [&](Position position) { return order_key(sample.values[position], sample.superlevel); };
        const auto place = [&](const LoopPair& pair) {
            const Position edge = pair.edge.voxel, face = pair.face.voxel;
            const Position birth = reversed ? face : edge, death = reversed ? edge : face;
            return std::tuple(key(death), death, key(birth), birth);
        };
        std::sort(own_.begin(), own_.end(), [&](const LoopPair& a, const LoopPair& b) { return place(a) < place(b); });
        for (const LoopPair& pair : own_) {
            const auto [death_key, death, birth_key, birth] = place(pair);
            bars.finite.push_back(birth);
            bars.finite.push_back(death);
        }
    }

    void find_vias(bool by_faces, std::vector<Via>& vias) {
        const auto its_own = [&](const LoopPair& pair) { return by_faces ? pair.edge : pair.face; };
        std::vector<std::pair<LoopCell, std::int64_t>> bars;
        for (std::size_t i = 0; i < own_.size(); ++i) bars.push_back({its_own(own_[i]), static_cast<std::int64_t>(i)});
        std::sort(bars.begin(), bars.end());
        std::sort(images_.begin(), images_.end(),
                  [&](const LoopPair& a, const LoopPair& b) { return its_own(a) < its_own(b); });
        auto bar = bars.begin();
        for (const LoopPair& image : images_) {
            while (bar != bars.end() && bar->first < its_own(image)) ++bar;
            if (bar != bars.end() && bar->first == its_own(image))
                vias.push_back({by_faces ? image.face : image.edge, bar->second});
        }
        std::sort(vias.begin(), vias.end(), [](const Via& a, const Via& b) { return a.cell < b.cell; });
    }

    static void join(const std::vector<Via>& first, const std::vector<Via>& second, std::vector<std::int64_t>& pairs) {
        std::vector<std::pair<std::int64_t, std::int64_t>> matched;
        auto b = second.begin();
        for (const Via& a : first) {
            while (b != second.end() && b->cell < a.cell) ++b;
            if (b != second.end() && b->cell == a.cell) matched.push_back({a.bar, b->bar});
        }
        std::sort(matched.begin(), matched.end());
        for (const auto& [one, other] : matched) {
            pairs.push_back(one);
            pairs.push_back(other);
        }
    }

    Volume<Value, Kind> rows_, columns_;  // of other orders
    TieBreaking<Value> ties_;
    ImageLoops<Value, Kind> image_;
    std::vector<LoopPair> own_, images_;
};

}  // namespace topolayer
