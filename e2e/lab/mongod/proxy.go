package main

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// proxy passes MongoDB's wire protocol on and counts what serverStatus tells (MongoDB manual, "serverStatus").
type proxy struct {
	dial     func() (net.Conn, error)
	began    time.Time
	resident func() int32

	counts counts
}

type counts struct {
	current, created, requests, in, out             atomic.Int64
	insert, query, update, remove, getMore, command atomic.Int64
}

// The wire protocol: a header of four 32-bit integers (length, request, the request that this answers, opcode), and for
// OP_MSG flags and sections; section 0 is the command, section 1 a list of documents that belongs to it.
const (
	headerSize = 16
	opMsg      = 2013
	maxMessage = 48_000_000
	// available is mongod's default limit of connections.
	available = 51200
)

func (p *proxy) serve(listener net.Listener) error {
	for {
		client, err := listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			return err
		}
		go p.connection(client)
	}
}

func (p *proxy) connection(client net.Conn) {
	defer client.Close()
	server, err := p.dial()
	if err != nil {
		return
	}
	defer server.Close()
	p.counts.current.Add(1)
	p.counts.created.Add(1)
	defer p.counts.current.Add(-1)

	var asked sync.Map // requests whose answer gets the counts
	go func() {
		defer client.Close()
		_ = eachMessage(server, func(message []byte) error {
			if _, wanted := asked.LoadAndDelete(binary.LittleEndian.Uint32(message[8:])); wanted {
				message = p.withCounts(message)
			}
			p.counts.out.Add(int64(len(message)))
			_, err := client.Write(message)
			return err
		})
	}()
	_ = eachMessage(client, func(message []byte) error {
		p.counts.in.Add(int64(len(message)))
		p.counts.requests.Add(1)
		if p.count(message) == "serverStatus" {
			asked.Store(binary.LittleEndian.Uint32(message[4:]), true)
		}
		_, err := server.Write(message)
		return err
	})
}

func eachMessage(from io.Reader, visit func(message []byte) error) error {
	var length [4]byte
	for {
		if _, err := io.ReadFull(from, length[:]); err != nil {
			return err
		}
		size := binary.LittleEndian.Uint32(length[:])
		if size < headerSize || size > maxMessage {
			return errors.New("not a message")
		}
		message := make([]byte, size)
		copy(message, length[:])
		if _, err := io.ReadFull(from, message[4:]); err != nil {
			return err
		}
		if err := visit(message); err != nil {
			return err
		}
	}
}

// count adds a request to the counters as mongod does, writes by their documents or statements, and returns the
// command's name.
func (p *proxy) count(message []byte) string {
	if binary.LittleEndian.Uint32(message[12:]) != opMsg {
		p.counts.command.Add(1) // the hello of an old driver
		return ""
	}
	body, listed := sections(message[headerSize+4:])
	elements, err := body.Elements()
	if err != nil || len(elements) == 0 {
		return ""
	}
	name := elements[0].Key()
	switch name {
	case "insert":
		p.counts.insert.Add(statements(body, "documents", listed))
	case "update":
		p.counts.update.Add(statements(body, "updates", listed))
	case "delete":
		p.counts.remove.Add(statements(body, "deletes", listed))
	case "find":
		p.counts.query.Add(1)
	case "getMore":
		p.counts.getMore.Add(1)
	default:
		p.counts.command.Add(1)
	}
	return name
}

// statements is how many a write holds, in its body or beside it.
func statements(body bson.Raw, field string, listed int64) int64 {
	values, ok := body.Lookup(field).ArrayOK()
	if !ok {
		return listed
	}
	elements, err := values.Values()
	if err != nil {
		return listed
	}
	return listed + int64(len(elements))
}

// sections returns the command and how many documents stand beside it.
func sections(rest []byte) (body bson.Raw, listed int64) {
	for len(rest) > 5 {
		kind, size := rest[0], int(binary.LittleEndian.Uint32(rest[1:]))
		if size < 5 || size > len(rest)-1 {
			return body, listed
		}
		section := rest[1 : 1+size]
		rest = rest[1+size:]
		if kind == 0 {
			body = section
			continue
		}
		listed += documents(section[4:])
	}
	return body, listed
}

// documents counts those of a section of kind 1, which begins with a name.
func documents(section []byte) (count int64) {
	for i, char := range section {
		if char == 0 {
			section = section[i+1:]
			break
		}
	}
	for len(section) >= 5 {
		size := int(binary.LittleEndian.Uint32(section))
		if size < 5 || size > len(section) {
			return count
		}
		section = section[size:]
		count++
	}
	return count
}

// withCounts puts our figures into an answer to serverStatus; a refusal passes as it is.
func (p *proxy) withCounts(message []byte) []byte {
	if binary.LittleEndian.Uint32(message[12:]) != opMsg {
		return message
	}
	body, _ := sections(message[headerSize+4:])
	var status bson.D
	if err := bson.Unmarshal(body, &status); err != nil {
		return message
	}
	if ok, _ := body.Lookup("ok").AsFloat64OK(); ok != 1 {
		return message
	}
	raw, err := bson.Marshal(append(status, p.figures()...))
	if err != nil {
		return message
	}
	answer := append(append([]byte{}, message[:headerSize+4]...), 0)
	answer = append(answer, raw...)
	binary.LittleEndian.PutUint32(answer, uint32(len(answer)))
	// No checksum: the flag of one is of another length than the answer has now.
	binary.LittleEndian.PutUint32(answer[headerSize:], 0)
	return answer
}

func (p *proxy) figures() bson.D {
	c := &p.counts
	current := int32(c.current.Load())
	return bson.D{
		{Key: "connections", Value: bson.D{
			{Key: "current", Value: current},
			{Key: "available", Value: available - current},
			{Key: "totalCreated", Value: c.created.Load()},
			{Key: "active", Value: int32(1)},
		}},
		{Key: "opcounters", Value: bson.D{
			{Key: "insert", Value: c.insert.Load()},
			{Key: "query", Value: c.query.Load()},
			{Key: "update", Value: c.update.Load()},
			{Key: "delete", Value: c.remove.Load()},
			{Key: "getmore", Value: c.getMore.Load()},
			{Key: "command", Value: c.command.Load()},
		}},
		{Key: "network", Value: bson.D{
			{Key: "bytesIn", Value: c.in.Load()}, {Key: "bytesOut", Value: c.out.Load()}, {Key: "numRequests", Value: c.requests.Load()},
		}},
		{Key: "mem", Value: bson.D{{Key: "bits", Value: int32(64)}, {Key: "resident", Value: p.resident()}, {Key: "virtual", Value: p.resident()}}},
	}
}
