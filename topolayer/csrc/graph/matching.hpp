// Induced matchings of two functions on the vertices of a graph, in dimension 0, with the bars of both.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <numeric>
#include <span>
#include <vector>

#include "common/bars.hpp"
#include "common/buffer.hpp"
#include "common/interrupt.hpp"
#include "common/matching.hpp"
#include "common/sample.hpp"
#include "common/union_find.hpp"
#include "common/values.hpp"
#include "graph/graph.hpp"
#include "graph/persistence.hpp"

namespace topolayer {

// As on grids, see grid/matching.hpp; here every vertex is a label from the start.
template <class Value>
class GraphMatching {
public:
    void operator()(const Sample<Value>& first, const Sample<Value>& second, const Graph& graph, Comparison comparison,
                    MatchedBars& found) {
        const std::size_t size = graph.size();
        const bool lower = (comparison == Comparison::union_) != first.superlevel;
        compared_.renew(size);
        for (std::size_t i = 0; i < size; ++i)
            compared_[i] = lower ? std::min(first.values[i], second.values[i]) : std::max(first.values[i], second.values[i]);
        Sample<Value> both(first);
        both.values = compared_.begin();
        found.first.nonfinite = !first_.find(first, graph, found.first, nullptr);
        found.second.nonfinite = !second_.find(second, graph, found.second, nullptr);
        if (found.first.nonfinite || found.second.nonfinite) {
            found.first.nonfinite = found.second.nonfinite = true;
            for (Bars* bars : {&found.first, &found.second}) bars->finite.clear(), bars->essential.clear();
            return;
        }
        Bars of_both;
        both_.find(both, graph, of_both, nullptr);
        sort_neighbors(graph);
        std::vector<Label> partners(size, none);  // of the births in the first
        if (comparison == Comparison::union_) {
            sweep<2>(both_, both, {{{&first_, &first}, {&second_, &second}}}, [&](Graph::Vertex, const auto& gone) {
                partners[gone[0]] = gone[1];
            });
        } else {
            std::array<std::vector<Label>, 2> births{std::vector<Label>(size, none), std::vector<Label>(size, none)};
            sweep<1>(first_, first, {{{&both_, &both}}},
                     [&](Graph::Vertex dies, const auto& gone) { births[0][gone[0]] = dies; });
            sweep<1>(second_, second, {{{&both_, &both}}},
                     [&](Graph::Vertex dies, const auto& gone) { births[1][gone[0]] = dies; });
            for (std::size_t i = 0; i < size; ++i)
                if (births[0][i] != none && births[1][i] != none) partners[births[0][i]] = births[1][i];
        }
        std::vector<Label> bar_of(size, none);  // by birth
        for (std::size_t bar = 0; 2 * bar < found.second.finite.size(); ++bar)
            bar_of[found.second.finite[2 * bar]] = static_cast<Label>(bar);
        for (std::size_t bar = 0; 2 * bar < found.first.finite.size(); ++bar) {
            const Label partner = partners[found.first.finite[2 * bar]];
            if (partner == none) continue;
            found.pairs.push_back(static_cast<std::int64_t>(bar));
            found.pairs.push_back(bar_of[partner]);
        }
    }

private:
    struct Function {
        const GraphPersistence<Value>* persistence;
        const Sample<Value>* sample;
    };

    // Edges of one vertex enter in the order of their other ends.
    void sort_neighbors(const Graph& graph) {
        neighbors_.clear();
        begin_.assign(1, 0);
        for (Graph::Vertex vertex = 0; vertex < graph.size(); ++vertex) {
            const auto mine = graph.neighbors(vertex);
            neighbors_.insert(neighbors_.end(), mine.begin(), mine.end());
            std::sort(neighbors_.begin() + static_cast<std::ptrdiff_t>(begin_.back()), neighbors_.end());
            begin_.push_back(neighbors_.size());
        }
    }

    // Goes through the components of one function, each of which carries the oldest vertex in the order of the others. Of two that
    // meet the younger of these is gone, if it entered before: tells of each edge at which one of each is.
    template <std::size_t functions, class Gone>
    void sweep(const GraphPersistence<Value>& persistence, const Sample<Value>& sample,
               const std::array<Function, functions>& others, Gone gone) {
        const std::size_t size = begin_.size() - 1;
        components_.reset(size);  // of ages
        std::array<std::vector<UnionFind::Element>, functions> oldest;
        for (std::size_t i = 0; i < functions; ++i)
            for (std::size_t age = 0; age < size; ++age)
                oldest[i].push_back(others[i].persistence->age(persistence.vertex(static_cast<UnionFind::Element>(age))));
        Pace pace(sample.interrupt);
        for (UnionFind::Element now = 0; now < size; ++now) {
            const Graph::Vertex vertex = persistence.vertex(now);
            const Key<Value> key = order_key(sample.values[vertex], sample.superlevel);
            for (std::size_t i = begin_[vertex]; i < begin_[vertex + 1]; ++i) {
                const UnionFind::Element age = persistence.age(neighbors_[i]);
                if (age > now) continue;
                const UnionFind::Element a = components_.root(age), b = components_.root(now);
                if (a == b) continue;
                const UnionFind::Element older = std::min(a, b), younger = std::max(a, b);
                components_.attach(younger, older);
                std::array<Graph::Vertex, functions> labels;
                bool all = true;
                for (std::size_t k = 0; k < functions; ++k) {
                    const auto [kept, dies] = std::minmax({oldest[k][older], oldest[k][younger]});
                    oldest[k][older] = kept;
                    labels[k] = others[k].persistence->vertex(dies);
                    all &= order_key(others[k].sample->values[labels[k]], sample.superlevel) < key;
                }
                if (all) gone(persistence.vertex(younger), labels);
            }
            pace.after(1);
        }
    }

    static constexpr Label none = std::numeric_limits<Label>::max();

    GraphPersistence<Value> first_, second_, both_;
    Buffer<Value> compared_;
    std::vector<Graph::Vertex> neighbors_;
    std::vector<std::size_t> begin_;
    UnionFind components_;
};

}  // namespace topolayer
