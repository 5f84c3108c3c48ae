// Dimensions 0 and 1 of Vietoris-Rips filtrations, from the lunes of the edges (Koyama, Mémoli, Robins and Turner).
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "common/bars.hpp"
#include "common/buffer.hpp"
#include "common/interrupt.hpp"
#include "common/sample.hpp"
#include "common/union_find.hpp"
#include "common/values.hpp"
#include "rips/distances.hpp"
#include "rips/edges.hpp"
#include "rips/lunes.hpp"

namespace topolayer {

// Edges enter one by one, with the cliques that they complete. An edge whose lune is empty is *critical*: it joins two components
// or is born as a loop. One whose lune is connected changes nothing: by any point c of the lune, (i, j) is homologous to
// (i, c) + (c, j), two earlier edges. Each further component of a lune, with a point a, makes the cycle of (i, c), (j, c),
// (i, a) and (j, a) bound; that kills the loop of its last edge, after those with points in their lunes have been replaced by
// earlier ones, and those whose loops are dead by what killed them. If nothing is left a void is born.
template <class Value>
class RipsLoops {
public:
    // `bars`: of each of `dims`, 0 or 1 or both.
    void operator()(const Sample<Value>& sample, std::int64_t points, Value threshold, std::span<const int> dims, Bars* bars) {
        Bars unwanted;
        Bars* of_dimension[] = {&unwanted, &unwanted};
        for (std::size_t i = 0; i < dims.size(); ++i) of_dimension[dims[i]] = &bars[i];
        bars[0].nonfinite = !matrix_.read(sample.values, points);
        if (bars[0].nonfinite || points == 0) return;
        points_ = points;
        sweep(std::min(order_key(threshold, false), enclosing_radius()), *of_dimension[0], *of_dimension[1], sample.interrupt);
    }

    std::size_t bytes() const {
        return matrix_.bytes() + edges_.bytes() + lunes_.bytes() + columns_.bytes() + column_.bytes() +
               loops_.capacity() * sizeof(Loop);
    }

private:
    struct Loop {
        Edge<Value> birth;
        std::size_t first = 0, end = 0;  // of the column that killed it, without its birth
        bool alive = true;
    };

    // A point, the center, is joined with all others there, so that no loop is alive and no lune empty.
    Key<Value> enclosing_radius() {
        Key<Value> radius = std::numeric_limits<Key<Value>>::max();
        for (std::int64_t i = 0; i < points_; ++i) {
            const Key<Value> farthest = largest(matrix_.row(i), points_);
            if (farthest < radius) center_ = i;
            radius = std::min(radius, farthest);
        }
        return radius;
    }

    void sweep(Key<Value> longest, Bars& components, Bars& loops, Interrupt& interrupt) {
        Pace pace(interrupt);
        edges_.begin(matrix_, longest);
        lunes_.reset(points_);
        sets_.reset(static_cast<std::size_t>(points_));
        loops_.clear();
        columns_.clear();
        alive_ = 0;
        unsettled_ = {0, 0};
        std::int64_t joins = 0;
        bool done = points_ < 2;
        while (!done) {
            const Buffer<Edge<Value>>& sorted = edges_.next();
            if (sorted.size() == 0) break;
            for (const Edge<Value>& edge : sorted) {
                pace.after(static_cast<std::int64_t>(lunes_.words()));
                const Point i = first_end(edge), j = second_end(edge);
                if (!lunes_.look(i, j)) {
                    const Point a = sets_.root(i), b = sets_.root(j);
                    if (a == b) {
                        loops_.push_back({edge});
                        ++alive_;
                    } else {
                        ++joins;
                        sets_.attach(std::max(a, b), std::min(a, b));  // points enter at 0 by index: the index is the age
                        if (edge.key != order_key(Value{0}, false)) {
                            components.finite.push_back(std::max(a, b) * (points_ + 1));
                            components.finite.push_back(entry_of(edge));
                        }
                    }
                } else if (alive_ > 0) {
                    kill(edge, loops, pace);
                }
                lunes_.insert(i, j);
                if (alive_ == 0 && joins == points_ - 1 && !another_may_be_critical(longest, pace)) {
                    done = true;
                    break;
                }
            }
        }
        for (std::int64_t point = 0; point < points_; ++point)
            if (sets_.is_root(static_cast<Point>(point))) components.essential.push_back(point * (points_ + 1));
        for (const Loop& loop : loops_)
            if (loop.alive) loops.essential.push_back(entry_of(loop.birth));
    }

    // Whether an edge that has not entered may have an empty lune. The one that makes it say so is kept, as those before it
    // are settled, and it stays so until it enters.
    bool another_may_be_critical(Key<Value> longest, Pace& pace) {
        auto& [i, j] = unsettled_;
        if (i < j && !lunes_.is_joined(static_cast<Point>(i), static_cast<Point>(j))) return true;
        const Key<Value>* const central = matrix_.row(center_);
        for (; i < points_; ++i, j = i) {
            const Key<Value>* const row = matrix_.row(i);
            pace.after(points_);
            for (j = std::max(j, i) + 1; j < points_; ++j) {
                const bool entered = lunes_.is_joined(static_cast<Point>(i), static_cast<Point>(j));
                const bool has_center = std::max(central[i], central[j]) < row[j];
                if (!(entered | (row[j] > longest) | has_center) && !has_shorter_way(i, j, row[j])) return true;
            }
        }
        return false;
    }

    // Whether some point is closer to both than they are to each other. Most have one that is joined with both already.
    bool has_shorter_way(std::int64_t i, std::int64_t j, Key<Value> length) const {
        if (lunes_.are_near(static_cast<Point>(i), static_cast<Point>(j))) return true;
        const Key<Value> *const first = matrix_.row(i), *const second = matrix_.row(j);
        constexpr std::int64_t at_once = 32;
        for (std::int64_t begin = 0; begin < points_; begin += at_once)
            if (least_maximum(first + begin, second + begin, std::min(at_once, points_ - begin)) < length) return true;
        return false;
    }

    // With `edge` the components of its lune get one.
    void kill(const Edge<Value>& edge, Bars& bars, Pace& pace) {
        const std::vector<Point>& lune = lunes_.components();
        dying_.clear();
        for (std::size_t component = 1; component < lune.size() && alive_ > 0; ++component) {
            column_.clear();
            for (const Point point : {lune[0], lune[component]}) {
                add_to_column(first_end(edge), point);
                add_to_column(second_end(edge), point);
            }
            if (Loop* const loop = reduce(pace)) dying_.push_back(loop->birth);
        }
        std::sort(dying_.begin(), dying_.end(), enters_before<Key<Value>>);
        for (const Edge<Value>& birth : dying_)
            if (birth.key != edge.key) {
                bars.finite.push_back(entry_of(birth));
                bars.finite.push_back(entry_of(edge));
            }
    }

    // The loop that the column kills, whose birth is the last critical edge that cannot be replaced; nullptr if none is left.
    Loop* reduce(Pace& pace) {
        while (column_.size() > 0) {
            pace.after(points_);
            const Edge<Value> last = pop();
            if (column_.size() > 0 && column_[0].index == last.index) {  // twice is never
                pop();
                continue;
            }
            const auto loop = std::lower_bound(loops_.begin(), loops_.end(), last,
                                               [](const Loop& a, const Edge<Value>& b) { return enters_before(a.birth, b); });
            if (loop == loops_.end() || loop->birth.index != last.index) {
                const Point between = point_of_lune(last);
                add_to_column(first_end(last), between);
                add_to_column(second_end(last), between);
            } else if (loop->alive) {
                loop->alive = false;
                --alive_;
                loop->first = columns_.size();
                Edge<Value>* const end = columns_.room_for(column_.size());
                columns_.end_at(std::copy(column_.begin(), column_.end(), end));
                loop->end = columns_.size();
                return &*loop;
            } else {
                for (std::size_t i = loop->first; i < loop->end; ++i) push(columns_[i]);
            }
        }
        return nullptr;
    }

    // The point whose edges to both ends are the earliest.
    Point point_of_lune(const Edge<Value>& edge) const {
        const std::int64_t i = first_end(edge), j = second_end(edge);
        const Key<Value> *const first = matrix_.row(i), *const second = matrix_.row(j);
        const Key<Value> nearest = least_maximum(first, second, points_);
        for (std::int64_t v = 0;; ++v) {
            if (std::max(first[v], second[v]) != nearest || v == i || v == j) continue;
            if (nearest < edge.key || (enters_before(edge_between(i, v), edge) && enters_before(edge_between(j, v), edge)))
                return static_cast<Point>(v);
        }
    }

    // The column is a heap, the last edge first; an edge that is in it twice is not in the cycle.
    void add_to_column(std::int64_t a, std::int64_t b) { push(edge_between(a, b)); }
    void push(const Edge<Value>& edge) {
        column_.push_back(edge);
        std::push_heap(column_.begin(), column_.end(), enters_before<Key<Value>>);
    }
    Edge<Value> pop() {
        std::pop_heap(column_.begin(), column_.end(), enters_before<Key<Value>>);
        const Edge<Value> last = column_.back();
        column_.end_at(column_.end() - 1);
        return last;
    }

    Edge<Value> edge_between(std::int64_t a, std::int64_t b) const {
        return edge_of(matrix_.row(a)[b], a, b);
    }
    std::int64_t entry_of(const Edge<Value>& edge) const { return first_end(edge) * points_ + second_end(edge); }

    KeyMatrix<Value> matrix_;
    std::int64_t points_ = 0, center_ = 0;
    EdgesInOrder<Value> edges_;
    Lunes lunes_;
    UnionFind sets_;
    std::vector<Loop> loops_;  // in the order of their births
    std::int64_t alive_ = 0;   // of them
    Buffer<Edge<Value>> column_, columns_;
    std::vector<Edge<Value>> dying_;
    struct {
        std::int64_t i, j;
    } unsettled_{};
};

}  // namespace topolayer
