// Induced matchings of the loops of two volumes, with the bars of both.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
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
#include "grid/persistence.hpp"
#include "grid/tie_breaking.hpp"
#include "grid/voxel_links.hpp"

namespace topolayer {

// Buffers are kept from one call to the next.
template <class Value>
class LoopMatching {
public:
    // `both` is the comparison of the two. All values are finite, three axes are longer than one, `dual` is that of the grid.
    void operator()(const Sample<Value>& first, const Sample<Value>& second, const Sample<Value>& both, Comparison comparison,
                    const Grid& grid, const Grid& dual, MatchedBars& found) {
        if (grid.connectivity() == Connectivity::freudenthal)
            match(first, second, both, comparison, grid, dual, found, freudenthal_);
        else
            match(first, second, both, comparison, grid, dual, found, cubical_);
    }

    std::size_t bytes() const {
        return persistence_.bytes() + ties_.bytes() + (cubical_ ? cubical_->bytes() : 0) +
               (freudenthal_ ? freudenthal_->bytes() : 0);
    }

private:
    template <class Kind>
    struct Room {
        Loops<Value, Kind> one, both, rows, columns;
        ImageLoops<Value, Kind> images;

        std::size_t bytes() const { return one.bytes() + both.bytes() + rows.bytes() + columns.bytes() + images.bytes(); }
    };

    template <class Kind>
    using Function = typename ImageLoops<Value, Kind>::Function;

    // A bar at the cell of the comparison through which it is matched.
    struct Via {
        LoopCell cell;
        std::int64_t bar;
    };

    template <class Kind>
    void match(const Sample<Value>& first, const Sample<Value>& second, const Sample<Value>& both, Comparison comparison,
               const Grid& grid, const Grid& dual, MatchedBars& found, std::optional<Room<Kind>>& room) {
        if (!room) room.emplace();
        const bool reversed = grid.connectivity() == Connectivity::top_cells;
        has_both_ = false;
        std::vector<Via> vias[2];
        for (int i = 0; i < 2; ++i) {
            const Sample<Value>& sample = i == 0 ? first : second;
            persistence_.voxels_and_faces(sample, grid, dual, room->one);
            const Function<Kind> one{sample, sample, room->one}, other{both, both, room->both};
            // A union comes early, but late in the reversed order.
            const bool by_faces = (comparison == Comparison::union_) != reversed;
            room->images(one, one, grid, reversed, own_);
            find_images(by_faces ? one : other, by_faces ? other : one, grid, dual, reversed, *room);
            list(sample, reversed, i == 0 ? found.first : found.second);
            find_vias(by_faces, vias[i]);
        }
        join(vias[0], vias[1], found.pairs);
    }

    template <class Kind>
    void find_images(const Function<Kind>& rows, const Function<Kind>& columns, const Grid& grid, const Grid& dual,
                     bool reversed, Room<Kind>& room) {
        using Order = typename TieBreaking<Value>::Order;
        const auto orders = ties_(rows.sample, columns.sample, grid.size(), reversed);
        const bool rows_replaced = orders.rows == Order::replaced, columns_replaced = orders.columns == Order::replaced;
        const Sample<Value> of_rows = ties_.rows(rows.sample, reversed), of_columns = ties_.columns(columns.sample, reversed);
        if (rows_replaced) persistence_.voxels(of_rows, grid, dual, room.rows);
        if (columns_replaced) persistence_.voxels_and_faces(of_columns, grid, dual, room.columns);
        const Function<Kind> replaced_rows{rows.sample, of_rows, room.rows};
        const Function<Kind> replaced_columns{columns.sample, of_columns, room.columns};
        const Function<Kind>& row_order = rows_replaced ? replaced_rows : rows;
        const Function<Kind>& column_order = columns_replaced ? replaced_columns : columns;
        const Function<Kind>& first = orders.rows == Order::other ? column_order : row_order;
        const Function<Kind>& second = orders.columns == Order::other ? row_order : column_order;
        if (!has_both_ && (&first.loops == &room.both || &second.loops == &room.both)) {
            const Sample<Value>& both = &rows.loops == &room.both ? rows.sample : columns.sample;
            has_both_ = persistence_.voxels_and_faces(both, grid, dual, room.both);
        }
        room.images({rows.sample, first.ordered, first.loops}, {columns.sample, second.ordered, second.loops}, grid, reversed,
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

    GridPersistence<Value> persistence_;
    TieBreaking<Value> ties_;
    std::optional<Room<CubicalKind>> cubical_;
    std::optional<Room<FreudenthalKind>> freudenthal_;
    std::vector<LoopPair> own_, images_;
    bool has_both_ = false;  // whether the comparison has been looked at, as it is not always needed
};

}  // namespace topolayer
