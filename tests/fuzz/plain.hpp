// The textbook method, to compare with: sort everything, then sweep and unite. It shares no code with the core.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <iterator>
#include <map>
#include <numeric>
#include <set>
#include <utility>
#include <vector>

namespace plain {

using Index = std::int64_t;

struct Bars {
    std::vector<Index> finite, essential;
};

enum class Adjacency { freudenthal, vertices, top_cells };

inline bool adjacent(Index dz, Index dy, Index dx, Adjacency adjacency) {
    const Index steps[] = {dz, dy, dx};
    switch (adjacency) {
        case Adjacency::vertices: return std::abs(dz) + std::abs(dy) + std::abs(dx) == 1;
        case Adjacency::top_cells: return true;
        case Adjacency::freudenthal:
            return std::all_of(steps, steps + 3, [](Index s) { return s >= 0; }) ||
                   std::all_of(steps, steps + 3, [](Index s) { return s <= 0; });
    }
    return false;
}

// Calls visit(position of a neighbor, or -1 for the outside) for every way out of a pixel.
template <class Visit>
void for_each_neighbor(Index position, const std::vector<Index>& shape, Adjacency adjacency, Visit visit) {
    std::vector<Index> padded(3 - shape.size(), 1);
    padded.insert(padded.end(), shape.begin(), shape.end());
    const Index missing = 3 - static_cast<Index>(shape.size());
    const Index depth = padded[0], height = padded[1], width = padded[2];
    const Index z = position / (height * width), y = position / width % height, x = position % width;
    for (Index dz = missing > 0 ? 0 : -1; dz <= (missing > 0 ? 0 : 1); ++dz)
        for (Index dy = missing > 1 ? 0 : -1; dy <= (missing > 1 ? 0 : 1); ++dy)
            for (Index dx = -1; dx <= 1; ++dx) {
                if ((dz == 0 && dy == 0 && dx == 0) || !adjacent(dz, dy, dx, adjacency)) continue;
                const bool inside = 0 <= z + dz && z + dz < depth && 0 <= y + dy && y + dy < height && 0 <= x + dx &&
                                    x + dx < width;
                visit(inside ? ((z + dz) * height + y + dy) * width + x + dx : -1);
            }
}

class Sets {
public:
    explicit Sets(std::size_t size) : parent_(size) { std::iota(parent_.begin(), parent_.end(), Index{0}); }

    Index root(Index element) {
        while (parent_[element] != element) element = parent_[element] = parent_[parent_[element]];
        return element;
    }

    void attach(Index younger, Index older) { parent_[younger] = older; }

private:
    std::vector<Index> parent_;
};

// Positions in the order in which they enter.
template <class Value>
std::vector<Index> in_order(const Value* values, Index count, bool superlevel) {
    std::vector<Index> order(count);
    std::iota(order.begin(), order.end(), Index{0});
    std::stable_sort(order.begin(), order.end(), [&](Index a, Index b) {
        return superlevel ? values[a] > values[b] : values[a] < values[b];
    });
    return order;
}

// H0 of anything: vertices enter in `order`, and are united with those neighbors that are there.
// `neighbors(vertex, visit)` calls visit(neighbor) for each. With `outside` the vertex -1 is there from the start.
// Returns the deaths, as (birth, vertex at which it dies), in the order of the sweep, of bars of any length.
template <class Neighbors>
std::vector<std::pair<Index, Index>> sweep(const std::vector<Index>& order, bool outside, std::vector<Index>* essential,
                                           Neighbors neighbors) {
    const auto count = static_cast<Index>(order.size());
    std::vector<Index> place(count);  // 1 and up; 0 is the outside's
    for (Index i = 0; i < count; ++i) place[order[i]] = i + 1;
    Sets sets(count + 1);
    std::vector<std::pair<Index, Index>> deaths;
    for (Index now = 1; now <= count; ++now) {
        const Index vertex = order[now - 1];
        std::vector<Index> dying;
        neighbors(vertex, [&](Index neighbor) {
            if (neighbor < 0 && !outside) return;
            const Index other = neighbor < 0 ? 0 : place[neighbor];
            if (other > now) return;
            const Index a = sets.root(now), b = sets.root(other);
            if (a == b) return;
            sets.attach(std::max(a, b), std::min(a, b));
            dying.push_back(std::max(a, b));
        });
        std::sort(dying.begin(), dying.end());
        for (const Index birth : dying) deaths.emplace_back(order[birth - 1], vertex);
    }
    if (essential)
        for (Index i = 1; i <= count; ++i)
            if (sets.root(i) == i) essential->push_back(order[i - 1]);
    return deaths;
}

template <class Value, class Neighbors>
Bars h0(const Value* values, Index count, bool superlevel, Neighbors neighbors) {
    Bars bars;
    const auto order = in_order(values, count, superlevel);
    for (const auto& [birth, death] : sweep(order, false, &bars.essential, neighbors))
        if (values[birth] != values[death]) bars.finite.insert(bars.finite.end(), {birth, death});
    return bars;
}

inline auto grid_neighbors(const std::vector<Index>& shape, Adjacency adjacency) {
    return [&shape, adjacency](Index position, auto visit) { for_each_neighbor(position, shape, adjacency, visit); };
}

template <class Value>
Bars grid_h0(const Value* values, const std::vector<Index>& shape, Adjacency adjacency, bool superlevel) {
    const Index count = std::accumulate(shape.begin(), shape.end(), Index{1}, std::multiplies<>());
    return h0(values, count, superlevel, grid_neighbors(shape, adjacency));
}

// Floods from the births of essential bars and of the longest others; what a flood reaches takes the level of the time.
template <class Value, class Neighbors>
std::vector<Value> simplified(const Value* values, Index count, bool superlevel, Index most, Value shortest,
                              Neighbors neighbors) {
    const Bars bars = h0(values, count, superlevel, neighbors);
    const std::vector<Index> order = in_order(values, count, superlevel);
    std::vector<Index> place(count);
    for (Index i = 0; i < count; ++i) place[order[i]] = i;
    std::vector<std::pair<Value, Index>> longest;  // (-length, place of the birth)
    for (std::size_t i = 0; i < bars.finite.size(); i += 2)
        longest.emplace_back(-std::abs(values[bars.finite[i]] - values[bars.finite[i + 1]]), place[bars.finite[i]]);
    std::sort(longest.begin(), longest.end());
    const Index finite = std::max<Index>(0, most - static_cast<Index>(bars.essential.size()));
    longest.resize(std::min<std::size_t>(longest.size(), finite));
    std::vector<bool> kept(count);
    for (const Index birth : bars.essential) kept[birth] = true;
    for (const auto& [length, birth] : longest) kept[order[birth]] = -length >= shortest;

    Sets sets(count);
    std::vector<bool> flooded(count), entered(count);
    std::vector<std::vector<Index>> dry(count);  // of each component, by its root
    std::vector<Value> result(count);
    for (const Index vertex : order) {
        entered[vertex] = true;
        flooded[vertex] = kept[vertex];
        dry[vertex] = {vertex};
        neighbors(vertex, [&](Index neighbor) {
            if (neighbor < 0 || !entered[neighbor]) return;
            Index large = sets.root(vertex), small = sets.root(neighbor);
            if (large == small) return;
            if (dry[large].size() < dry[small].size()) std::swap(large, small);
            sets.attach(small, large);
            flooded[large] = flooded[large] || flooded[small];
            dry[large].insert(dry[large].end(), dry[small].begin(), dry[small].end());
        });
        const Index root = sets.root(vertex);
        if (!flooded[root]) continue;
        for (const Index reached : dry[root]) result[reached] = values[vertex];
        dry[root].clear();
    }
    return result;
}

// By duality: components of the dual in the reversed order, of which the outside is the oldest.
template <class Value>
Bars grid_top(const Value* values, const std::vector<Index>& shape, Adjacency adjacency, bool superlevel) {
    const Adjacency dual = adjacency == Adjacency::vertices    ? Adjacency::top_cells
                           : adjacency == Adjacency::top_cells ? Adjacency::vertices
                                                               : adjacency;
    const Index count = std::accumulate(shape.begin(), shape.end(), Index{1}, std::multiplies<>());
    std::vector<Index> order = in_order(values, count, superlevel);
    std::vector<Index> place(count);
    for (Index i = 0; i < count; ++i) place[order[i]] = i;
    std::reverse(order.begin(), order.end());
    auto deaths = sweep(order, true, nullptr, [&](Index position, auto visit) {
        for_each_neighbor(position, shape, dual, visit);
    });
    // (death, birth) of the bars: each has another death
    std::sort(deaths.begin(), deaths.end(),
              [&](const auto& a, const auto& b) { return place[a.first] < place[b.first]; });
    Bars bars;
    for (const auto& [death, birth] : deaths)
        if (values[birth] != values[death]) bars.finite.insert(bars.finite.end(), {birth, death});
    return bars;
}

// A cell by where it is, and the entry of the values with which it enters; its boundary by numbers of other cells.
struct Cell {
    Index entry;
    std::vector<Index> boundary;
};

// Edges and faces of a volume. The cells of cubes are the points of a grid that is twice as fine, odd coordinates in so many of
// the axes as they have dimensions; the triangulation has an edge for each way from a corner of a cube to a later one.
inline std::vector<std::vector<Cell>> edges_and_faces(const std::vector<Index>& shape, Adjacency adjacency,
                                                      const std::vector<Index>& place, const std::vector<Index>& order) {
    std::vector<std::vector<Cell>> cells(2);
    std::map<std::vector<Index>, Index> numbers;  // of edges
    const auto at = [&](Index z, Index y, Index x) { return place[(z * shape[1] + y) * shape[2] + x]; };
    const auto inside = [&](Index axis, Index coordinate) { return 0 <= coordinate && coordinate < shape[axis]; };
    if (adjacency == Adjacency::freudenthal) {
        using Point = std::array<Index, 3>;
        const auto step = [&](Point p, unsigned axes) {
            for (unsigned axis = 0; axis < 3; ++axis) p[axis] += axes >> axis & 1;
            return p;
        };
        const auto is_inside = [&](const Point& p) { return inside(0, p[0]) && inside(1, p[1]) && inside(2, p[2]); };
        const auto place_of = [&](const Point& p) { return at(p[0], p[1], p[2]); };
        const auto name = [](const Point& a, const Point& b) { return std::vector<Index>{a[0], a[1], a[2], b[0], b[1], b[2]}; };
        const auto for_each_point = [&](auto visit) {
            for (Index z = 0; z < shape[0]; ++z)
                for (Index y = 0; y < shape[1]; ++y)
                    for (Index x = 0; x < shape[2]; ++x) visit(Point{z, y, x});
        };
        for_each_point([&](const Point& a) {
            for (unsigned axes = 1; axes < 8; ++axes) {
                const Point b = step(a, axes);
                if (!is_inside(b)) continue;
                numbers[name(a, b)] = static_cast<Index>(cells[0].size());
                cells[0].push_back({order[std::max(place_of(a), place_of(b))], {}});
            }
        });
        for_each_point([&](const Point& a) {
            for (unsigned first = 1; first < 8; ++first)
                for (unsigned second = 1; second < 8; ++second) {
                    const Point b = step(a, first), c = step(b, second);
                    if ((first & second) || !is_inside(c)) continue;
                    cells[1].push_back({order[std::max({place_of(a), place_of(b), place_of(c)})],
                                        {numbers[name(a, b)], numbers[name(b, c)], numbers[name(a, c)]}});
                }
        });
        return cells;
    }
    const bool of_vertices = adjacency == Adjacency::vertices;
    const auto fine = [&](Index axis) { return 2 * shape[axis] + (of_vertices ? -1 : 1); };
    for (int faces = 0; faces < 2; ++faces)
        for (Index z = 0; z < fine(0); ++z)
            for (Index y = 0; y < fine(1); ++y)
                for (Index x = 0; x < fine(2); ++x) {
                    const std::vector<Index> cell{z, y, x};
                    if (z % 2 + y % 2 + x % 2 != 1 + faces) continue;
                    // Vertices have even coordinates and the last one counts; top cells odd ones, and the first one counts.
                    Index best = -1;
                    for (int corner = 0; corner < 8; ++corner) {
                        std::array<Index, 3> near{};
                        bool valid = true;
                        for (int axis = 0; axis < 3; ++axis) {
                            const bool spreads = (cell[axis] % 2 == 1) == of_vertices;
                            const Index moved = cell[axis] + (spreads ? (corner >> axis & 1 ? 1 : -1) : 0);
                            near[axis] = of_vertices ? moved / 2 : (moved - 1) / 2;
                            valid &= moved >= 0 && inside(axis, near[axis]);
                        }
                        if (!valid) continue;
                        const Index here = at(near[0], near[1], near[2]);
                        best = best < 0 ? here : of_vertices ? std::max(best, here) : std::min(best, here);
                    }
                    Cell found{order[best], {}};
                    if (faces)
                        for (int axis = 0; axis < 3; ++axis)
                            for (const int side : {-1, 1}) {
                                auto edge = cell;
                                edge[axis] += side;
                                if (cell[axis] % 2 == 1) found.boundary.push_back(numbers.at(edge));
                            }
                    else
                        numbers[cell] = static_cast<Index>(cells[0].size());
                    cells[faces].push_back(found);
                }
    return cells;
}

// Loops of a volume: the boundaries of faces, column by column.
template <class Value>
Bars volume_h1(const Value* values, const std::vector<Index>& shape, Adjacency adjacency, bool superlevel) {
    const Index count = std::accumulate(shape.begin(), shape.end(), Index{1}, std::multiplies<>());
    const std::vector<Index> order = in_order(values, count, superlevel);
    std::vector<Index> place(count);
    for (Index i = 0; i < count; ++i) place[order[i]] = i;
    auto cells = edges_and_faces(shape, adjacency, place, order);
    std::vector<std::vector<Index>> sorted(2);
    for (int dim = 0; dim < 2; ++dim) {
        sorted[dim].resize(cells[dim].size());
        std::iota(sorted[dim].begin(), sorted[dim].end(), Index{0});
        std::stable_sort(sorted[dim].begin(), sorted[dim].end(), [&](Index a, Index b) {
            return place[cells[dim][a].entry] < place[cells[dim][b].entry];
        });
    }
    std::vector<Index> rank(cells[0].size());
    for (std::size_t i = 0; i < rank.size(); ++i) rank[sorted[0][i]] = static_cast<Index>(i);
    std::map<Index, std::set<Index>> columns;          // by the rank of their last edge
    std::vector<std::pair<Index, Index>> deaths;       // places of death and birth
    for (const Index face : sorted[1]) {
        std::set<Index> column;
        const auto toggle = [&](Index edge) {
            if (!column.insert(edge).second) column.erase(edge);
        };
        for (const Index edge : cells[1][face].boundary) toggle(rank[edge]);
        while (!column.empty() && columns.contains(*column.rbegin()))
            for (const Index edge : columns[*column.rbegin()]) toggle(edge);
        if (column.empty()) continue;
        const Index birth = cells[0][sorted[0][*column.rbegin()]].entry, death = cells[1][face].entry;
        columns[*column.rbegin()] = column;
        if (values[birth] != values[death]) deaths.emplace_back(place[death], place[birth]);
    }
    std::sort(deaths.begin(), deaths.end());
    Bars bars;
    for (const auto& [death, birth] : deaths) bars.finite.insert(bars.finite.end(), {order[birth], order[death]});
    return bars;
}

// Positions (i, j), i < j, of a matrix of distances up to the threshold, in the order in which they enter.
template <class Value>
std::vector<Index> rips_edges(const Value* distances, Index points, Value threshold) {
    std::vector<Index> entries;
    for (Index i = 0; i < points; ++i)
        for (Index j = i + 1; j < points; ++j)
            if (distances[i * points + j] <= threshold) entries.push_back(i * points + j);
    std::stable_sort(entries.begin(), entries.end(), [&](Index a, Index b) { return distances[a] < distances[b]; });
    return entries;
}

// Kruskal's algorithm. `closing`: the edges that join nothing.
template <class Value>
Bars rips_h0(const Value* distances, Index points, Value threshold, std::vector<Index>* closing = nullptr) {
    Sets sets(points);
    Bars bars;
    for (const Index entry : rips_edges(distances, points, threshold)) {
        const Index a = sets.root(entry / points), b = sets.root(entry % points);
        if (a == b) {
            if (closing) closing->push_back(entry);
            continue;
        }
        const Index younger = std::max(a, b);
        sets.attach(younger, std::min(a, b));
        if (distances[entry] != 0) bars.finite.insert(bars.finite.end(), {younger * points + younger, entry});
    }
    for (Index i = 0; i < points; ++i)
        if (sets.root(i) == i) bars.essential.push_back(i * points + i);
    return bars;
}

// The boundary matrix of all triangles, column by column.
template <class Value>
Bars rips_h1(const Value* distances, Index points, Value threshold) {
    const std::vector<Index> edges = rips_edges(distances, points, threshold);
    const auto count = static_cast<Index>(edges.size());
    std::vector<Index> place(points * points, -1);
    for (Index i = 0; i < count; ++i) place[edges[i]] = i;
    std::vector<std::vector<Index>> columns(count);  // by their last edges
    std::vector<Index> deaths(count, -1);            // of edges, by place
    for (Index now = 0; now < count; ++now)
        for (Index point = 0; point < points; ++point) {
            const Index a = edges[now] / points, b = edges[now] % points;
            if (point == a || point == b) continue;
            const Index first = place[std::min(a, point) * points + std::max(a, point)];
            const Index second = place[std::min(b, point) * points + std::max(b, point)];
            if (first < 0 || second < 0 || first > now || second > now) continue;
            std::vector<Index> column{std::min(first, second), std::max(first, second), now};
            while (!column.empty() && deaths[column.back()] >= 0) {
                std::vector<Index> sum;
                const std::vector<Index>& other = columns[column.back()];
                std::set_symmetric_difference(column.begin(), column.end(), other.begin(), other.end(),
                                              std::back_inserter(sum));
                column.swap(sum);
            }
            if (column.empty()) continue;
            deaths[column.back()] = now;
            columns[column.back()] = column;
        }
    std::vector<Index> closing;
    rips_h0(distances, points, threshold, &closing);
    std::vector<std::pair<Index, Index>> bars;  // (death, birth), places
    Bars result;
    for (const Index entry : closing) {
        const Index death = deaths[place[entry]];
        if (death < 0)
            result.essential.push_back(entry);
        else if (distances[entry] != distances[edges[death]])
            bars.emplace_back(death, place[entry]);
    }
    std::sort(bars.begin(), bars.end());
    for (const auto& [death, birth] : bars) result.finite.insert(result.finite.end(), {edges[birth], edges[death]});
    return result;
}

}  // namespace plain
