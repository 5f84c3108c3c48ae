// H0 of lower-star (and upper-star) filtrations: sort the vertices, sweep them in filtration order, unite with union-find.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "bars.hpp"
#include "order.hpp"
#include "union_find.hpp"

namespace topolayer {

enum class Connectivity { freudenthal, vertices, top_cells };

// A grid with a margin of one cell around it, so that the sweep needs no test for the border. Slots are positions in the
// padded grid; they are ordered as positions in the grid itself are.
class Grid {
public:
    using Slot = std::uint32_t;

    Grid(std::span<const std::int64_t> shape, Connectivity connectivity) {
        // One, two and three axes alike: missing axes come first and have length one.
        const std::size_t missing = 3 - shape.size();
        std::copy(shape.begin(), shape.end(), shape_.begin() + missing);
        for (std::size_t axis = 0; axis < 3; ++axis) margin_[axis] = axis < missing ? 0 : 1;
        plane_ = (shape_[1] + 2 * margin_[1]) * (shape_[2] + 2);
        row_ = shape_[2] + 2;
        for (int z = -margin_[0]; z <= margin_[0]; ++z)
            for (int y = -margin_[1]; y <= margin_[1]; ++y)
                for (int x = -1; x <= 1; ++x)
                    if (is_neighbor(z, y, x, connectivity)) offsets_.push_back(z * plane_ + y * row_ + x);
    }

    std::int64_t slots() const { return (shape_[0] + 2 * margin_[0]) * plane_; }

    std::int64_t size() const { return shape_[0] * shape_[1] * shape_[2]; }

    template <class Visit>  // visit(position, slot)
    void for_each_vertex(Visit visit) const {
        std::int64_t position = 0;
        for (std::int64_t z = 0; z < shape_[0]; ++z)
            for (std::int64_t y = 0; y < shape_[1]; ++y) {
                std::int64_t slot = (z + margin_[0]) * plane_ + (y + margin_[1]) * row_ + 1;
                for (std::int64_t x = 0; x < shape_[2]; ++x) visit(position++, static_cast<Slot>(slot++));
            }
    }

    template <class Visit>  // visit(slot of a neighbor)
    void for_each_neighbor(Slot slot, Visit visit) const {
        for (const std::int64_t offset : offsets_) visit(static_cast<Slot>(slot + offset));
    }

    std::int64_t position(Slot slot) const {
        const std::int64_t z = slot / plane_ - margin_[0], in_plane = slot % plane_;
        return (z * shape_[1] + in_plane / row_ - margin_[1]) * shape_[2] + in_plane % row_ - 1;
    }

private:
    static bool is_neighbor(int z, int y, int x, Connectivity connectivity) {
        const int steps = std::abs(z) + std::abs(y) + std::abs(x);
        switch (connectivity) {
            case Connectivity::vertices: return steps == 1;
            case Connectivity::top_cells: return steps > 0;
            // Freudenthal: an edge goes from a vertex to one that is larger in some coordinates and smaller in none.
            case Connectivity::freudenthal: return steps > 0 && std::abs(z + y + x) == steps;
        }
        return false;
    }

    std::array<std::int64_t, 3> shape_{1, 1, 1};
    std::array<int, 3> margin_{};
    std::int64_t plane_ = 0, row_ = 0;
    std::vector<std::int64_t> offsets_;
};

// A graph as adjacency lists. Slots are vertices.
class Graph {
public:
    using Slot = std::uint32_t;

    Graph(std::int64_t vertices, std::span<const std::int64_t> edges) : first_(vertices + 1, 0), neighbors_(edges.size()) {
        for (const std::int64_t vertex : edges) ++first_[vertex + 1];
        for (std::int64_t vertex = 0; vertex < vertices; ++vertex) first_[vertex + 1] += first_[vertex];
        std::vector<std::size_t> next(first_.begin(), first_.end() - 1);
        for (std::size_t i = 0; i < edges.size(); i += 2) {
            neighbors_[next[edges[i]]++] = static_cast<Slot>(edges[i + 1]);
            neighbors_[next[edges[i + 1]]++] = static_cast<Slot>(edges[i]);
        }
    }

    std::int64_t slots() const { return static_cast<std::int64_t>(first_.size()) - 1; }

    std::int64_t size() const { return slots(); }

    template <class Visit>
    void for_each_vertex(Visit visit) const {
        for (std::int64_t vertex = 0; vertex < slots(); ++vertex) visit(vertex, static_cast<Slot>(vertex));
    }

    template <class Visit>
    void for_each_neighbor(Slot slot, Visit visit) const {
        for (std::size_t i = first_[slot]; i < first_[slot + 1]; ++i) visit(neighbors_[i]);
    }

    std::int64_t position(Slot slot) const { return slot; }

private:
    std::vector<std::size_t> first_;
    std::vector<Slot> neighbors_;
};

// Buffers of the sweep, kept by a thread from one sample to the next.
template <class Value>
class LowerStarH0 {
public:
    template <class Complex>
    void operator()(const Value* values, const Complex& complex, bool superlevel, Bars& bars) {
        sort_vertices(values, complex, superlevel, bars);
        if (!bars.nonfinite) sweep(complex, bars);
    }

private:
    using Age = UnionFind::Element;
    static constexpr Age not_yet = std::numeric_limits<Age>::max();

    struct Vertex {
        Key<Value> key;
        std::uint32_t slot;
        bool operator<(const Vertex& other) const {
            return key != other.key ? key < other.key : slot < other.slot;
        }
    };

    template <class Complex>
    void sort_vertices(const Value* values, const Complex& complex, bool superlevel, Bars& bars) {
        by_age_.resize(complex.size());
        bool finite = true;
        complex.for_each_vertex([&](std::int64_t position, std::uint32_t slot) {
            finite &= static_cast<bool>(std::isfinite(values[position]));
            by_age_[position] = {order_key(values[position], superlevel), slot};
        });
        bars.nonfinite = !finite;
        if (finite) std::sort(by_age_.begin(), by_age_.end());
    }

    template <class Complex>
    void sweep(const Complex& complex, Bars& bars) {
        components_.reset(by_age_.size());
        age_.assign(complex.slots(), not_yet);
        for (Age now = 0; now < by_age_.size(); ++now) {
            const Vertex vertex = by_age_[now];
            age_[vertex.slot] = now;
            Age oldest = now;
            dying_.clear();
            complex.for_each_neighbor(vertex.slot, [&](std::uint32_t neighbor) {
                if (age_[neighbor] == not_yet) return;
                const Age root = components_.root(age_[neighbor]);
                if (root == oldest) return;
                const Age younger = std::max(root, oldest);
                oldest = std::min(root, oldest);
                components_.attach(younger, oldest);
                if (by_age_[younger].key != vertex.key) dying_.push_back(younger);
            });
            std::sort(dying_.begin(), dying_.end());
            for (const Age birth : dying_) {
                bars.finite.push_back(complex.position(by_age_[birth].slot));
                bars.finite.push_back(complex.position(vertex.slot));
            }
        }
        for (Age birth = 0; birth < by_age_.size(); ++birth)
            if (components_.is_root(birth)) bars.essential.push_back(complex.position(by_age_[birth].slot));
    }

    std::vector<Vertex> by_age_;
    std::vector<Age> age_;  // of the vertex in a slot
    std::vector<Age> dying_;
    UnionFind components_;
};

}  // namespace topolayer
